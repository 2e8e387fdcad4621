using System.Globalization;

namespace SparseExperts.Oracle;

/// <summary>Numbers that are right to as many decimal digits as they have: they come from a page, a log or a test, and nobody said so.</summary>
static class PrintedDigits
{
    const int Fewest = 2, Most = 6;

    /// <param name="stage">Whose numbers they are.</param>
    public static Cause? Find(string stage, Departure of)
    {
        int[] counted = [.. Enumerable.Range(0, of.Claimed.Length).Where(i => of.Counts(i) && of.Claimed[i] != 0)];
        if (counted.Length == 0 || of.Bounds.All(b => b == 0) || !counted.All(i => double.IsFinite(of.Claimed[i]))) return null;
        bool IsRight(int i, double halfUnit) => Math.Abs(of.Claimed[i] - of.Expected[i]) <= halfUnit + of.Bounds[i];
        bool ZerosAreRight(double halfUnit) => Enumerable.Range(0, of.Claimed.Length).Where(of.Counts).All(i => of.Claimed[i] != 0 || IsRight(i, halfUnit));
        for (var digits = Fewest; digits <= Most; digits++)
            if (counted.All(i => IsDecimal(of, i, $"E{digits - 1}") && IsRight(i, CaseDigits.HalfUnit(digits, of.Claimed[i]))) && ZerosAreRight(0))
                return Named(stage, $"{digits} significant digits", digits);
        for (var decimals = Fewest; decimals <= Most; decimals++)
        {
            var halfUnit = 0.5 * double.Parse($"1E-{decimals}", CultureInfo.InvariantCulture);
            if (!counted.All(i => IsDecimal(of, i, $"F{decimals}") && IsRight(i, halfUnit)) || !ZerosAreRight(halfUnit)) continue;
            return Named(stage, $"{decimals} decimals", counted.Min(i => Digits(of.Claimed[i], decimals)));
        }
        return null;
    }

    static Cause Named(string stage, string digits, int significant) => new("claim_digits", significant.ToString(CultureInfo.InvariantCulture),
        $"the numbers were printed: they have {digits} and are right to half a unit of the last; say \"claim_digits\": {{\"claim.{stage}\": {significant}}}");

    /// <summary>Whether a number is what its own decimal text says, in the format that it is kept in.</summary>
    static bool IsDecimal(Departure of, int i, string text)
    {
        var read = double.Parse(of.Claimed[i].ToString(text, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return Rounding.To(of.Format, read) == of.Claimed[i];
    }

    /// <summary>Significant digits of a number with so many decimals.</summary>
    static int Digits(double value, int decimals)
    {
        var text = value.ToString("E16", CultureInfo.InvariantCulture);
        var first = int.Parse(text.AsSpan(text.IndexOf('E') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return Math.Max(1, first + 1 + decimals);
    }
}
