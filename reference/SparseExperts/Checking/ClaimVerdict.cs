using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>What the check says of one recorded tensor.</summary>
/// <param name="Name">As the recording has it.</param>
/// <param name="Worst">The number that lies farthest out, in units of its bound; null for decisions and where nothing was compared.</param>
public sealed record ClaimVerdict(string Name, Outcome Outcome, Difference? Worst = null)
{
    /// <summary>How many bounds the worst number lies off.</summary>
    public double Ratio => Worst is null ? 0 : Worst.Margin == 0 ? 0 : Worst.Margin / Worst.Bound;

    /// <summary>The root of the mean square of what numbers lie off, in bounds: what tells two explanations apart where bounds are wide.</summary>
    public double Mean { get; init; }

    /// <summary>Numbers against numbers; what does not count is left out.</summary>
    /// <param name="errors">What right computations of the expected numbers may lose.</param>
    /// <param name="counts">Whether a number is compared; null for all.</param>
    public static ClaimVerdict Of(CaseTensor claim, double[] expected, double[] errors, Func<int, bool>? counts = null)
    {
        Difference? worst = null;
        var (ratio, wrong, unknown) = (-1.0, 0, 0);
        var (squares, compared) = (0.0, 0);
        for (var i = 0; i < expected.Length; i++)
        {
            if (counts?.Invoke(i) == false) continue;
            double own = claim.Values[i], bound = Bound(claim.Format, expected[i], errors[i]);
            var margin = own == expected[i] || double.IsNaN(own) && double.IsNaN(expected[i]) ? 0 : Math.Abs(own - expected[i]);
            if (double.IsPositiveInfinity(bound) && margin != 0) unknown++;
            else if (!(margin <= bound)) wrong++;
            var its = double.IsPositiveInfinity(bound) || margin == 0 ? 0 : double.IsNaN(margin) ? double.PositiveInfinity : margin / bound;
            (squares, compared) = (squares + its * its, compared + 1);
            if (its > ratio) (ratio, worst) = (its, new(i, own, expected[i], margin, bound, 0, expected.Length));
        }
        var outcome = wrong > 0 ? Outcome.Differs : unknown > 0 ? Outcome.Undecided : Outcome.Agrees;
        return new(claim.Name, outcome, worst is null ? null : worst with { Count = wrong }) { Mean = Math.Sqrt(squares / Math.Max(1, compared)) };
    }

    /// <summary>What is lost on the way, half a unit of the format that it was written in, and half a unit of float32 for its inputs, as in cases.</summary>
    static double Bound(NumberFormat format, double expected, double error)
    {
        var size = Math.Abs(expected) + error;
        if (!double.IsFinite(size)) return error;
        return error + Rounding.HalfUnit(NumberFormat.Float32, size) + (format == NumberFormat.Float64 ? 0 : Rounding.HalfUnit(format, size));
    }
}
