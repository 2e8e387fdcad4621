namespace SparseExperts;

/// <summary>An error that a setting would cure: a command adds the names of its options.</summary>
public interface INamesSettings
{
    /// <summary>batch, context, out, … as the options of the command are called.</summary>
    IReadOnlyList<string> Settings { get; }
}
