using System.Diagnostics;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance.Cpu;

/// <summary>
/// The bits of every card at every SIMD level, each in a process of its own, because the runtime decides the level at its start. A level that this
/// machine lacks is named in the output as not run.
/// </summary>
public sealed class LaneTests(ITestOutputHelper output)
{
    static readonly (string Level, string[] Switches)[] Lanes =
    [
        ("AVX-512", []),
        ("AVX2", ["DOTNET_EnableAVX512"]),
        ("128-bit", ["DOTNET_EnableAVX512", "DOTNET_EnableAVX2"]),
        ("scalar", ["DOTNET_EnableHWIntrinsic"]),
    ];

    [Fact]
    public void Every_level_gives_the_same_bits_of_every_card()
    {
        var reached = new Dictionary<string, string[]>();
        foreach (var (level, switches) in Lanes)
        {
            var (code, lines) = Run(switches);
            Assert.True(code == 0, $"{level}: {string.Join('\n', lines)}");
            Assert.Equal(OpCards.All.Count + 1, lines.Length);
            if (lines[0] == level) reached[level] = lines[1..];
            else output.WriteLine($"{level}: not run, this machine reaches {lines[0]}");
        }
        var (first, expected) = reached.First();
        Assert.Contains("scalar", reached.Keys);
        foreach (var (level, cards) in reached)
            foreach (var (seen, card) in cards.Zip(expected))
                Assert.True(seen == card, $"{level} gives {seen}, {first} {card}");
    }

    static (int Code, string[] Lines) Run(string[] switches)
    {
        var start = new ProcessStartInfo("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "SparseExperts.Conformance.Lanes.dll")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var name in (string[])["DOTNET_EnableAVX512", "DOTNET_EnableAVX2", "DOTNET_EnableHWIntrinsic"]) start.Environment.Remove(name);
        foreach (var name in switches) start.Environment[name] = "0";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var lines = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        process.WaitForExit();
        return (process.ExitCode, process.ExitCode == 0 ? lines : [.. lines, errors.Result]);
    }
}
