using System.Globalization;
using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>Why the same token has other numbers in another call, the most harmless first.</summary>
public enum RowCause
{
    /// <summary>Both calls compute what their file claims before it, and lie no further apart than rounding takes either; or the choices tie.</summary>
    Rounding,

    /// <summary>Both calls compute what they should, from other tokens beside it: a capacity, a choice or a loss over the whole call.</summary>
    Batch,

    /// <summary>The calls were given other numbers: x, draws, or what else is recorded of the token.</summary>
    Inputs,

    /// <summary>The files do not hold what it is computed from.</summary>
    Unknown,

    /// <summary>A call does not compute what its own claims before it ask for.</summary>
    Unexplained,
}

/// <summary>The first row of a stage that departs.</summary>
/// <param name="Element">Which of the row's numbers.</param>
/// <param name="Engine">1 or 2: whose file contradicts itself there; 0 where none does.</param>
public sealed record RowDifference(
    string Call,
    RowPlace First,
    RowPlace Second,
    int Element,
    double FirstValue,
    double SecondValue,
    RowCause Cause,
    int Engine);

/// <summary>One stage of two calls, over the rows that they share.</summary>
/// <param name="IsInput">Given to the layer, and not computed by it.</param>
/// <param name="Rows">Rows that were compared.</param>
/// <param name="Format">Whose last places are counted; null for whole numbers.</param>
/// <param name="Units">The largest distance in units of the last place; null where a number is not finite, or where numbers are whole.</param>
/// <param name="Causes">Rows that depart, by cause.</param>
/// <param name="First">The first row that departs.</param>
public sealed record RowStage(
    string Stage,
    bool IsInput,
    int Rows,
    NumberFormat? Format,
    long? Units,
    IReadOnlyDictionary<RowCause, int> Causes,
    RowDifference? First)
{
    /// <summary>Rows that are not equal bit for bit.</summary>
    public int Apart => Causes.Values.Sum();

    /// <summary>Whether rounding is all that it takes.</summary>
    public bool IsRounding => Apart == Causes[RowCause.Rounding];

    /// <summary>By how much at most, in words; empty for whole numbers.</summary>
    public string Distance()
    {
        if (Format is not { } format || Apart == 0) return "";
        if (Units is not { } units) return "by numbers that are not finite";
        var unit = units == 1 ? "1 unit" : string.Create(CultureInfo.InvariantCulture, $"{units} units");
        return units == 0 ? "by the sign of zeros" : $"by up to {unit} in the last place of {format.Word()}";
    }

    /// <summary>Several calls' stages of one name as one.</summary>
    internal static RowStage Sum(IReadOnlyList<RowStage> stages)
    {
        var causes = Enum.GetValues<RowCause>().ToDictionary(c => c, c => stages.Sum(s => s.Causes[c]));
        var apart = stages.Where(s => s.Apart > 0).ToArray();
        var coarsest = stages.Select(s => s.Format).OfType<NumberFormat>().Select(f => (NumberFormat?)f).DefaultIfEmpty(null).Max();
        var units = apart.Length == 0 ? stages[0].Units : apart.Any(s => s.Units is null) ? null : apart.Max(s => s.Units);
        return stages[0] with
        {
            Rows = stages.Sum(s => s.Rows),
            Format = coarsest,
            Units = units,
            Causes = causes,
            First = apart.Length == 0 ? null : apart[0].First,
        };
    }
}
