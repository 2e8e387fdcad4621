using System.Globalization;
using System.Text.Json;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>
/// The claim of the Switch paper (Fedus et al. 2022, figure 1) at desk size: at equal steps and equal FLOPs a token, more experts reach a
/// lower loss, and the dense model's final loss much earlier. Every finished training is a line of a results file, so a run that was
/// stopped goes on where it was.
/// </summary>
static class Headline
{
    const int Checks = 50;

    sealed record Curve(int Experts, ulong Seed, long Steps, int Width, long Parameters, List<long> At, List<double> HeldOut);

    public static void Run(string results, long steps, int width, int[] experts, int seeds, int threads, int atOnce)
    {
        var curves = File.Exists(results) ? File.ReadLines(results).Select(l => JsonSerializer.Deserialize<Curve>(l)!).ToList() : [];
        bool IsKnown((int Experts, ulong Seed) t) => curves.Any(c => c.Experts == t.Experts && c.Seed == t.Seed && c.Steps == steps && c.Width == width);
        var missing = Enumerable.Range(0, seeds).SelectMany(seed => experts.Select(e => (Experts: e, Seed: (ulong)seed))).Where(t => !IsKnown(t)).ToArray();
        AtOnce.Each(missing, atOnce, t => Train(t.Experts, t.Seed, steps, width, threads), (t, curve) =>
        {
            curves.Add(curve);
            File.AppendAllText(results, JsonSerializer.Serialize(curve) + "\n");
            Console.Error.WriteLine($"{t.Experts} experts, seed {t.Seed}: {curve.HeldOut[^1]:F4}");
        });
        Print([.. curves.Where(c => c.Steps == steps && c.Width == width && experts.Contains(c.Experts))], experts, steps);
    }

    static Curve Train(int experts, ulong seed, long steps, int width, int threads)
    {
        using var backend = new CpuBackend(threads);
        var model = new ModelConfig { Experts = experts, Width = width, Hidden = 4 * width };
        var trainer = new Trainer(backend, model, new() { Steps = steps, Seed = seed });
        var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), model.Context);
        var curve = new Curve(experts, seed, steps, width, trainer.Model.ParameterCount, [], []);
        while (trainer.Step < steps)
        {
            trainer.Train(text, (double)trainer.Step / steps, details: false);
            if (trainer.Step % (steps / Checks) != 0) continue;
            curve.At.Add(trainer.Step);
            curve.HeldOut.Add(Evaluation.Run(trainer, text.HeldOut).BitsPerByte);
        }
        return curve;
    }

    static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    static void Print(Curve[] curves, int[] experts, long steps)
    {
        var dense = curves.Where(c => c.Experts == 0).ToArray();
        Console.WriteLine($"Held-out bits/byte after {steps:N0} steps of 16 × 128 bytes, mean and 95 % confidence interval over {dense.Length} seeds.\n");
        Console.WriteLine("| model | parameters | held-out bits/byte | against dense | steps to the dense twin's final loss |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (var e in experts)
        {
            var mine = curves.Where(c => c.Experts == e).OrderBy(c => c.Seed).ToArray();
            var finals = mine.Select(c => c.HeldOut[^1]).ToArray();
            var gains = mine.Select(c => c.HeldOut[^1] - dense.Single(d => d.Seed == c.Seed).HeldOut[^1]).ToArray();
            var passed = mine.Select(c => c.At.Zip(c.HeldOut).FirstOrDefault(p => p.Second <= dense.Single(d => d.Seed == c.Seed).HeldOut[^1]).First).ToArray();
            var name = e == 0 ? "dense" : $"{e} experts";
            var against = e == 0 ? "" : Interval.Of(gains).ToString("F3");
            var reached = e == 0 ? Number(steps, "N0")
                : passed.Any(p => p == 0) ? "never"
                : $"{Interval.Of([.. passed.Select(p => (double)p)]).ToString("N0")} ({Number(steps / passed.Average(), "F1")}× fewer)";
            Console.WriteLine($"| {name} | {Number(mine[0].Parameters, "N0")} | {Interval.Of(finals).ToString("F3")} | {against} | {reached} |");
        }
    }
}
