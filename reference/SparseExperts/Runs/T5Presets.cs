using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// Presets of the Switch Transformer with encoder and decoder. The large ones have the shapes of the published checkpoints, with the counts of Fedus et al.
/// 2022, table 9: 7, 26, 395 and 1571 billion parameters.
/// </summary>
static class T5Presets
{
    /// <summary>
    /// Narrow, so that what a layer holds limits what is learnt, as it does at any size in a long training. Start values have T5's scale 1: with the tenth
    /// of it that holds large models stable, queries of heads as narrow as these attend to everything alike for thousands of steps.
    /// </summary>
    static readonly T5Config Small = new() { Width = 32, Heads = 2, Hidden = 128, InitialScale = 1 };

    /// <summary>
    /// Adafactor's steps are relative to the size of what they change; a tied embedding of size 1 hardly moves in Adam's. The decay, relative too, keeps
    /// matrices from growing with every step.
    /// </summary>
    static readonly TrainingConfig Short = new() { Optimizer = OptimizerKind.Adafactor, Rate = 0.03, WeightDecay = 0.01, Clip = 0 };

    /// <summary>T5's: batches of 2²⁰ tokens, here in 64 parts, Adafactor with a rate of 1/√step.</summary>
    static readonly TrainingConfig Published = new()
    {
        Batch = 2048,
        Accumulate = 64,
        Steps = 550_000,
        Optimizer = OptimizerKind.Adafactor,
        Schedule = ScheduleKind.InverseSquareRoot,
        Rate = 1e-2,
        WarmUp = 10_000,
        WeightDecay = 0,
        Clip = 0,
    };

    static readonly T5Config Base = new()
    {
        Vocabulary = 32128,
        Context = 512,
        TargetContext = 114,
        Width = 768,
        Heads = 12,
        HeadWidth = 64,
        Hidden = 3072,
        EncoderLayers = 12,
        DecoderLayers = 12,
        Experts = 128,
        StartId = 0,
        PaddingId = 0,
        EndId = 1,
    };

    static readonly T5Config Large = Base with { Width = 1024, Heads = 16, Hidden = 4096, EncoderLayers = 24, DecoderLayers = 24 };

    static readonly T5Config ExtraLarge =
        Large with { Width = 4096, Heads = 64, Hidden = 10240, Gated = true, Activation = Activation.GeluTanh };

    static readonly T5Config C = Base with
    {
        Width = 2080,
        Heads = 32,
        Hidden = 6144,
        EncoderLayers = 15,
        DecoderLayers = 15,
        Experts = 2048,
        EncoderSparseStep = 1,
        DecoderSparseStep = 1,
    };

    public static IReadOnlyList<Preset> All { get; } =
    [
        new("switch-tiny", "encoder and decoder filling spans, a smoke test of seconds",
            Small with { Hidden = 64, Experts = 4, Context = 64, TargetContext = 13 },
            Short with { Batch = 8, Steps = 60, WarmUp = 20 }),
        new("switch-small-cpu", "encoder and decoder filling spans, five minutes on two cores",
            Small with { Experts = 16, TargetContext = 24 },
            Short with { Batch = 16, Minutes = 5 }),
        new("switch-base", "as published, 7 billion parameters", Base, Published),
        new("switch-large", "as published, 26 billion", Large, Published),
        new("switch-xxl", "as published, 395 billion", ExtraLarge, Published),
        new("switch-c", "as published, 1.6 trillion", C, Published),
    ];
}
