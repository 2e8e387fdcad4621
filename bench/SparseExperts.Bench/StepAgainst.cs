using System.Diagnostics;
using System.Globalization;
using MathNet.Numerics.Statistics;
using SparseExperts.Cpu;
using SparseExperts.Runs;

namespace SparseExperts.Bench;

/// <summary>
/// The training step of this build beside that of another: both commands train the same steps, one after the other, pair by pair, so that a clock that
/// drifts or a neighbour meets both. A run's speed is the median of what its metrics say after the first third.
/// </summary>
static class StepAgainst
{
    public static int Run(string folder, string[] presets, int pairs, int steps, int threads)
    {
        var other = Path.Combine(folder, "moe.dll");
        if (!File.Exists(other)) throw new FileNotFoundException($"{other}: no such file; name the folder of a build's moe.dll");
        var own = Path.Combine(AppContext.BaseDirectory, "moe.dll");
        using var work = new Workplace();
        var setting = $"preset ({CpuBackend.SimdLevel}, {threads} threads)";
        Console.WriteLine($"| {setting} | this, tokens/s | other, tokens/s | time, this / other: median of {pairs} pairs | quartiles |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var preset in presets)
        {
            double[] ratios = new double[pairs], ours = new double[pairs], theirs = new double[pairs];
            for (var p = 0; p < pairs; p++)
            {
                // Who goes first changes from pair to pair.
                if (p % 2 == 0) (ours[p], theirs[p]) = (work.Speed(own, preset, steps, threads), work.Speed(other, preset, steps, threads));
                else (theirs[p], ours[p]) = (work.Speed(other, preset, steps, threads), work.Speed(own, preset, steps, threads));
                ratios[p] = theirs[p] / ours[p];
            }
            var quartiles = string.Create(CultureInfo.InvariantCulture, $"{ratios.LowerQuartile():F3} … {ratios.UpperQuartile():F3}");
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"| {preset} | {ours.Median():N0} | {theirs.Median():N0} | {ratios.Median():F3} | {quartiles} |"));
        }
        return 0;
    }

    /// <summary>A folder for runs, and a text short enough that the evaluation at a run's end takes no time.</summary>
    sealed class Workplace : IDisposable
    {
        const int TextBytes = 400_000;

        readonly string _folder = Directory.CreateTempSubdirectory("step-").FullName;

        public Workplace() => File.WriteAllBytes(Text, File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"))[..TextBytes]);

        string Text => Path.Combine(_folder, "text.txt");

        /// <summary>Tokens a second of one run.</summary>
        public double Speed(string command, string preset, int steps, int threads)
        {
            var run = Path.Combine(_folder, "run");
            string[] arguments =
            [
                command, "train", "--preset", preset, "--text", Text, "--steps", $"{steps}", "--threads", $"{threads}",
                "--out", run, "--force", "--json",
            ];
            using var process = Process.Start(new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var errors = process.StandardError.ReadToEndAsync();
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0) throw new InvalidOperationException($"{command}: {errors.Result}");
            var lines = MetricsFile.Read(Path.Combine(run, "metrics.jsonl"));
            var speeds = lines.Where(l => l.Step > steps / 3).Select(l => l.TokensPerSecond).OfType<double>().ToArray();
            Directory.Delete(run, true);
            return speeds.Median();
        }

        public void Dispose() => Directory.Delete(_folder, true);
    }
}
