using System.Text.Json.Serialization;
using SparseExperts.Models;

namespace SparseExperts.Training;

public enum OptimizerKind { AdamW, Adafactor }

public enum ScheduleKind { Cosine, InverseSquareRoot, Constant }

/// <summary>How a model is trained. Exactly one of <see cref="Steps"/> and <see cref="Minutes"/> is positive.</summary>
public sealed record TrainingConfig
{
    public int Batch { get; init; } = 16;
    public long Steps { get; init; }
    public double Minutes { get; init; }
    public double Rate { get; init; } = 3e-3;
    public int WarmUp { get; init; } = 200;
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Cosine;

    /// <summary>The cosine ends at this share of the peak rate.</summary>
    public double Floor { get; init; } = 0.02;
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>The numbers of AdamW; Adafactor has its own.</summary>
    public double Beta1 { get; init; } = 0.9;
    public double Beta2 { get; init; } = 0.98;
    public double Epsilon { get; init; } = 1e-8;
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>What Adafactor takes besides; its defaults where the file does not say, and nothing for AdamW.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public AdafactorSettings? Adafactor { get; init; }

    /// <summary>Largest norm of the whole gradient; 0 leaves it as it is.</summary>
    public double Clip { get; init; } = 1;
    public ulong Seed { get; init; }

    /// <summary>Whether a block's activations are computed again in the backward pass instead of kept: less memory, more time, the same bits.</summary>
    public bool Recompute { get; init; }

    /// <summary>Micro-batches of a step, one after the other: gradients are added up over them, and only one is in memory.</summary>
    public int Accumulate { get; init; } = 1;

    public void Validate()
    {
        Require(Batch is >= 1 and <= 65536, $"batch {Batch}: between 1 and 65536 sequences");
        if (Accumulate < 1 || Batch % Accumulate != 0)
        {
            var divisors = string.Join(", ", Enumerable.Range(1, Batch).Where(n => Batch % n == 0));
            throw new ConfigurationException($"batch {Batch} in {Accumulate} micro-batches: does not divide; choose one of {divisors}", "accumulate", "batch");
        }
        Require(Steps >= 0 && Minutes >= 0 && double.IsFinite(Minutes), $"steps {Steps}, minutes {Minutes}: neither can be negative");
        Require(Steps > 0 != Minutes > 0, $"steps {Steps}, minutes {Minutes}: give one of them");
        Require(Rate > 0 && double.IsFinite(Rate), $"learning rate {Rate}: a positive number");
        Require(WarmUp >= 0, $"warm-up {WarmUp}: 0 or more steps");
        Adafactor?.Validate();
        Require(Clip >= 0, $"clip {Clip}: 0 or more");
    }

    static void Require(bool condition, string line)
    {
        if (!condition) throw new ConfigurationException(line);
    }
}
