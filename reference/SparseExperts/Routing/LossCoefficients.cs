namespace SparseExperts.Routing;

/// <summary>
/// The coefficients of auxiliary losses: every axis whose name ends so, with its twin for evaluation. That of a training extra is another thing.
/// </summary>
public static class LossCoefficients
{
    const string End = "_coefficient", Twin = "eval_";

    /// <summary>Names of the losses, and the axes of each.</summary>
    public static IReadOnlyList<IGrouping<string, DialectAxis>> All { get; } =
        [.. DialectAxis.All.Where(a => a.Name.EndsWith(End, StringComparison.Ordinal) && a.Name != "extra_coefficient").GroupBy(LossOf)];

    static string LossOf(DialectAxis axis) => axis.Name[(axis.Name.StartsWith(Twin, StringComparison.Ordinal) ? Twin.Length : 0)..^End.Length];

    /// <summary>The dialect with every coefficient 0.</summary>
    public static Dialect Without(Dialect dialect) => All.SelectMany(loss => loss).Aggregate(dialect, (d, axis) => axis.Reset(d));

    /// <summary>The dialect with one loss's coefficient alone, for each that has one.</summary>
    public static IEnumerable<(string Loss, Dialect Alone)> Each(Dialect dialect)
    {
        var none = Without(dialect);
        return from loss in All
               where loss.Any(axis => !axis.IsDefault(dialect))
               select (loss.Key, loss.Aggregate(none, (d, axis) => axis.Copied(dialect, d)));
    }
}
