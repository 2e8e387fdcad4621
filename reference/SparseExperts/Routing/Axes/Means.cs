namespace SparseExperts.Routing;

/// <summary>
/// One line that says what an axis, or a value of an axis, means, where it can be read (repository and function, or paper and section),
/// and, where the field spells it otherwise than .NET would, its name in files.
/// </summary>
[AttributeUsage(AttributeTargets.Field | AttributeTargets.Property)]
public sealed class MeansAttribute(string text, string source = "") : Attribute
{
    public string Text { get; } = text;
    public string Source { get; } = source;

    /// <summary>Name in JSON and on the command line; null makes it from the identifier.</summary>
    public string? Spelled { get; init; }
}

/// <summary>When something happens.</summary>
public enum Phase
{
    [Means("never")] Never,
    [Means("only while training")] Training,
    [Means("only in evaluation")] Evaluation,
    [Means("while training and in evaluation")] Always,
}

/// <summary>How a dialect is known.</summary>
public enum Evidence
{
    [Means("calls of the real library are recorded and recomputed")] Recorded,
    [Means("read from the library's source; not run")] Read,
    [Means("from the paper's formula; no public code was found")] Paper,
    [Means("from a file of its user's")] Own,
}
