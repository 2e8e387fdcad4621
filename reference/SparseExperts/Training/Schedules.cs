namespace SparseExperts.Training;

/// <summary>Factors of the peak learning rate, as Hugging Face transformers' optimization.py defines them; step 0 is the first.</summary>
public static class Schedules
{
    /// <summary>step/warmup below the warm-up, 1 after.</summary>
    public static double WarmUp(long step, long warmUp) => step < warmUp ? (double)step / Math.Max(1, warmUp) : 1;

    /// <summary>Warm-up, then ½(1 + cos π·p), p = (step − warmup)/(total − warmup); it rises again after the total.</summary>
    public static double Cosine(long step, long warmUp, long total) =>
        step < warmUp ? WarmUp(step, warmUp) : Math.Max(0, HalfCosine((double)(step - warmUp) / Math.Max(1, total - warmUp)));

    /// <summary>Warm-up, then √(timescale/(step + timescale − warmup)).</summary>
    public static double InverseSquareRoot(long step, long warmUp, long timescale) =>
        step < warmUp ? WarmUp(step, warmUp) : 1 / Math.Sqrt((double)(step + timescale - warmUp) / timescale);

    /// <summary>Warm-up, then straight down to 0 at the total.</summary>
    public static double Linear(long step, long warmUp, long total) =>
        step < warmUp ? WarmUp(step, warmUp) : Math.Max(0, (double)(total - step) / Math.Max(1, total - warmUp));

    /// <summary>½(1 + cos π·progress): 1 at 0, 0 at 1. Progress may be steps done or time spent.</summary>
    public static double HalfCosine(double progress) => 0.5 * (1 + ReproducibleMath.CosOfTurns(progress / 2));

    /// <summary>The rate of a training step. <paramref name="progress"/> in [0, 1] is the share of all steps, or of all time, that is spent.</summary>
    public static double Rate(TrainingConfig config, long step, double progress) =>
        config.Rate * Math.Min(1, (step + 1.0) / Math.Max(1, config.WarmUp)) * Share(config, step, progress);

    static double Share(TrainingConfig config, long step, double progress) => config.Schedule switch
    {
        ScheduleKind.Cosine => config.Floor + (1 - config.Floor) * HalfCosine(Math.Clamp(progress, 0, 1)),
        ScheduleKind.InverseSquareRoot => 1 / Math.Sqrt(Math.Max(1, (step + 1.0) / Math.Max(1, config.WarmUp))),
        ScheduleKind.Constant => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(config), config.Schedule, "unknown schedule"),
    };
}
