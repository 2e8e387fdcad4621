using System.Diagnostics;
using System.Globalization;

namespace SparseExperts.Bench;

/// <summary>How long the published command takes to say what it can: what every command takes before it begins.</summary>
static class StartTime
{
    public static void Run(string moe, int rounds)
    {
        var times = Enumerable.Range(0, rounds).Select(_ => Once(moe)).ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{moe} --help: best of {rounds} {times.Min().TotalSeconds:0.000} s, worst {times.Max().TotalSeconds:0.000} s"));
    }

    static TimeSpan Once(string moe)
    {
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(new ProcessStartInfo(moe, "--help") { RedirectStandardOutput = true })!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? clock.Elapsed : throw new InvalidOperationException($"{moe} --help ended with {process.ExitCode}");
    }
}
