using System.Diagnostics;
using System.Globalization;
using SparseExperts.Oracle;
using SparseExperts.Scalar;

namespace SparseExperts.Bench;

/// <summary>How long <c>moe check</c> takes, from the start of its process to its end: a large case, and the recorded ones.</summary>
static class CheckTimes
{
    const int Tokens = 4096, Experts = 64, Choices = 8, Width = 256, Hidden = 64;

    public static int Run(int rounds, string cases)
    {
        var folder = Directory.CreateTempSubdirectory("check-");
        try
        {
            string gates = Path.Combine(folder.FullName, "gates.safetensors"), outputs = Path.Combine(folder.FullName, "outputs.safetensors");
            using (var backend = new ScalarBackend<Float32>())
            {
                Case routed = CaseAnswers.Fill(Large(), backend), whole = CaseAnswers.Fill(Large().With(Weights()), backend);
                routed.Save(gates);
                whole.Save(outputs);
            }
            Print($"{Tokens:N0} tokens × {Experts} experts × k = {Choices}, up to the gates", rounds, gates);
            Print($"the same with experts of {Width} × {Hidden} and outputs", rounds, outputs);
            if (Directory.Exists(cases)) Print($"{CaseFiles.Find([cases]).Count} recorded calls", rounds, cases);
            return 0;
        }
        finally
        {
            folder.Delete(true);
        }
    }

    static Case Large()
    {
        CaseTensor[] tensors = [Normal("x", 1, 1, Tokens, Width), Normal("router.weight", 2, Experts, Width)];
        return Case.Create("hf.mixtral", "eval", tensors, new() { ["k"] = Choices });
    }

    static CaseTensor[] Weights() =>
    [
        Normal("experts.wi", 3, Experts, Hidden, Width),
        Normal("experts.wi_gate", 4, Experts, Hidden, Width),
        Normal("experts.wo", 5, Experts, Width, Hidden),
    ];

    static CaseTensor Normal(string name, ulong seed, params long[] shape)
    {
        var values = new double[shape.Aggregate(1L, (a, b) => a * b)];
        for (var i = 0; i < values.Length; i++) values[i] = (float)(Philox.Normal(new(seed, 0), (ulong)i) / (name == "x" ? 1 : 16));
        return new(name, "F32", shape, values);
    }

    static void Print(string what, int rounds, string path)
    {
        var best = double.PositiveInfinity;
        for (var round = 0; round < rounds; round++)
        {
            var clock = Stopwatch.StartNew();
            string[] arguments = [Path.Combine(AppContext.BaseDirectory, "moe.dll"), "check", path];
            using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true })!;
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0) throw new InvalidOperationException($"{path}: {output}");
            best = Math.Min(best, clock.Elapsed.TotalSeconds);
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {best:F2} s"));
    }
}
