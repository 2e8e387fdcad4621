using System.Globalization;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Training;

namespace SparseExperts.Bench;

/// <summary>
/// What keeps the training of an encoder and decoder with sparse layers stable: the number format of its router (Fedus et al. 2022, table 2) and the z-loss
/// (Zoph et al. 2022, section 3.1), at desk size. A training diverges where a step's loss or gradient is not finite, or where it ends above its best
/// held-out loss by more than a tenth.
/// </summary>
static class Stability
{
    const int Checks = 20;

    sealed record Outcome(double Final, double Best, long Skipped, double LargestLogit, double Seconds)
    {
        public bool Diverges => Skipped > 0 || !double.IsFinite(Final) || Final > 1.1 * Best;
    }

    /// <summary>float32, bfloat16 everywhere, and bfloat16 with routers in float32.</summary>
    public static void Formats(string preset, long steps, int seeds, double rate, int threads)
    {
        Head(preset, steps, seeds, "computes in");
        foreach (var format in Enum.GetValues<ModelFormat>())
            Row(format.ToString().ToLowerInvariant(), seeds, seed => Train(preset, t5 => t5 with { Format = format }, steps, seed, rate, threads));
    }

    /// <summary>The z-loss by its coefficient, in bfloat16 with routers in float32.</summary>
    public static void ZLoss(string preset, double[] coefficients, long steps, int seeds, double rate, int threads)
    {
        Head(preset, steps, seeds, "z-loss coefficient");
        foreach (var c in coefficients)
        {
            T5Config With(T5Config t5) => t5 with
            {
                Format = ModelFormat.Selective,
                Dialect = t5.Dialect with { ZLoss = c > 0 ? SparseExperts.Routing.ZLoss.RealTokens : SparseExperts.Routing.ZLoss.None, ZCoefficient = c },
            };
            Row(c.ToString(CultureInfo.InvariantCulture), seeds, seed => Train(preset, With, steps, seed, rate, threads));
        }
    }

    static void Head(string preset, long steps, int seeds, string what)
    {
        var count = steps.ToString("N0", CultureInfo.InvariantCulture);
        Console.WriteLine($"{preset}: held-out bits a label after {count} steps, mean and 95 % confidence interval over {seeds} seeds.\n");
        Console.WriteLine($"| {what} | held-out | best on the way | diverge | largest router logit | seconds |");
        Console.WriteLine("|---|---|---|---|---|---|");
    }

    static void Row(string name, int seeds, Func<ulong, Outcome> train)
    {
        Outcome[] outcomes = [.. Enumerable.Range(0, seeds).Select(seed => train((ulong)seed))];
        string Text(Func<Outcome, double> of, string format) => Interval.Of([.. outcomes.Select(of)]).ToString(format);
        var logit = outcomes.Max(o => o.LargestLogit).ToString("F1", CultureInfo.InvariantCulture);
        var seconds = outcomes.Average(o => o.Seconds).ToString("F0", CultureInfo.InvariantCulture);
        var diverged = outcomes.Count(o => o.Diverges);
        Console.WriteLine($"| {name} | {Text(o => o.Final, "F4")} | {Text(o => o.Best, "F4")} | {diverged} of {seeds} | {logit} | {seconds} |");
    }

    static Outcome Train(string preset, Func<T5Config, T5Config> change, long steps, ulong seed, double rate, int threads)
    {
        var start = Presets.Find(preset);
        var model = change((T5Config)start.Model);
        var text = ByteText.Load(Path.Combine(AppContext.BaseDirectory, "data", "austen.txt"), model.Context);
        var data = RunData.AsUsual(text, model);
        using var backend = new CpuBackend(threads);
        var training = start.Training with { Steps = steps, Minutes = 0, Seed = seed, Rate = rate > 0 ? rate : start.Training.Rate };
        var trainer = new Trainer(backend, data.Fitted(model), training);
        var batches = data.Batches(training);
        double best = double.PositiveInfinity, final = double.NaN, largest = 0;
        var clock = System.Diagnostics.Stopwatch.StartNew();
        while (trainer.Step < steps)
        {
            trainer.Train(batches, (double)trainer.Step / steps, details: false);
            if (trainer.Step % Math.Max(1, steps / Checks) != 0) continue;
            final = Evaluation.Run(trainer, data.HeldOut(training.Batch, 64)).BitsPerByte;
            best = Math.Min(best, final);
            largest = Math.Max(largest, LargestLogit(trainer, backend, batches));
        }
        return new(final, best, trainer.Skipped, largest, clock.Elapsed.TotalSeconds);
    }

    /// <summary>Of the next batch's routers: what the z-loss is to hold down.</summary>
    static double LargestLogit(Trainer trainer, CpuBackend backend, IBatches batches)
    {
        double Largest(ModelResult result) => result.Sparse.SelectMany(s => backend.ToArray(s.Logits.Value)).DefaultIfEmpty().Max(Math.Abs);
        return trainer.Evaluate(batches.Of(trainer.Step), (result, _) => Largest(result));
    }
}
