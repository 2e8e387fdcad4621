using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>Single values that somebody wants otherwise than a model's configuration has them; null leaves a value as it is.</summary>
public sealed record ModelChanges
{
    /// <summary>0 is the dense twin.</summary>
    public int? Experts { get; init; }
    public Dialect? Dialect { get; init; }
    public int? Context { get; init; }

    /// <summary>Ids that the model reads and writes.</summary>
    public int? Vocabulary { get; init; }

    /// <summary>The hidden width becomes four times as much.</summary>
    public int? Width { get; init; }

    /// <summary>Blocks of every stack.</summary>
    public int? Layers { get; init; }
    public double? Dropout { get; init; }
    public double? ExpertDropout { get; init; }
    public ModelFormat? Format { get; init; }

    /// <summary>Experts as they are asked for, else as many as are there and the dialect can have.</summary>
    internal int ExpertsFor(Dialect dialect, int now) => Experts ?? DialectRules.Fitting(dialect, now);
}
