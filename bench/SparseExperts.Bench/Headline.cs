using System.Globalization;
using System.Text.Json;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Runs;
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

    sealed record Curve(string Preset, string Title, int Experts, ulong Seed, long Steps, long Parameters, List<long> At, List<double> HeldOut);

    /// <param name="width">Of the models; null is the preset's.</param>
    public static void Run(string results, string presetName, long steps, int? width, int[] experts, int seeds, int threads, int atOnce)
    {
        var preset = Presets.Find(presetName);
        var model = preset.Model.With(new() { Width = width });
        var curves = File.Exists(results) ? File.ReadLines(results).Select(l => JsonSerializer.Deserialize<Curve>(l)!).ToList() : [];
        bool IsMeant(Curve c) => c.Preset == presetName && c.Steps == steps && c.Title == model.Title;
        bool IsKnown((int Experts, ulong Seed) t) => curves.Any(c => IsMeant(c) && c.Experts == t.Experts && c.Seed == t.Seed);
        var missing = Enumerable.Range(0, seeds).SelectMany(seed => experts.Select(e => (Experts: e, Seed: (ulong)seed))).Where(t => !IsKnown(t)).ToArray();
        AtOnce.Each(missing, atOnce, t => Train(preset, model.With(new() { Experts = t.Experts }), t.Seed, steps, threads), (t, curve) =>
        {
            curves.Add(curve);
            File.AppendAllText(results, JsonSerializer.Serialize(curve) + "\n");
            Console.Error.WriteLine($"{t.Experts} experts, seed {t.Seed}: {curve.HeldOut[^1]:F4}");
        });
        Print([.. curves.Where(c => IsMeant(c) && experts.Contains(c.Experts))], experts, preset, model, steps);
    }

    static Curve Train(Preset preset, IModelConfig model, ulong seed, long steps, int threads)
    {
        using var backend = new CpuBackend(threads);
        var training = preset.Training with { Steps = steps, Minutes = 0, Seed = seed };
        var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), model.Lengths[0]);
        var data = RunData.AsUsual(text, model);
        var trainer = new Trainer(backend, data.Fitted(model), training);
        var batches = data.Batches(training);
        var curve = new Curve(preset.Name, model.Title, model.Experts, seed, steps, trainer.Model.ParameterCount, [], []);
        while (trainer.Step < steps)
        {
            trainer.Train(batches, (double)trainer.Step / steps, details: false);
            if (trainer.Step % (steps / Checks) != 0) continue;
            curve.At.Add(trainer.Step);
            curve.HeldOut.Add(Evaluation.Run(trainer, data.HeldOut(training.Batch, int.MaxValue)).BitsPerByte);
        }
        return curve;
    }

    static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    static void Print(Curve[] curves, int[] experts, Preset preset, IModelConfig model, long steps)
    {
        var dense = curves.Where(c => c.Experts == 0).ToArray();
        var unit = RunData.UsualKind(model) == DataKind.Spans ? "label" : "byte";
        var size = $"{model.Title}, {Number(steps, "N0")} steps of {preset.Training.Batch} × {string.Join(" + ", model.Lengths)} bytes";
        var over = dense.Length == 1 ? "one seed" : $"mean and 95 % confidence interval over {dense.Length} seeds";
        Console.WriteLine($"{preset.Name}, {size}: held-out bits/{unit}, {over}.\n");
        Console.WriteLine($"| model | parameters | held-out bits/{unit} | against dense | steps to the dense twin's final loss |");
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
