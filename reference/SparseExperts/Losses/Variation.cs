using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>Squared coefficient of variation: how unequal numbers are, whatever their size.</summary>
static class Variation
{
    /// <summary>
    /// var(v) / (mean(v)² + ε) along each row of V; the variance divides by n or by n − 1. Written as a variance, so that equal numbers have
    /// gradient 0 and not the 0·∞ of a squared standard deviation (vmoe #218). Y is [rows, 1].
    /// </summary>
    public static Tensor OfRows(Tape tape, Tensor v, Variance variance, double epsilon)
    {
        var n = v.Columns;
        var mean = tape.Scale(tape.SumRows(v), 1.0 / n);
        var deviation = tape.Subtract(v, tape.RepeatColumn(mean, n));
        var spread = tape.Scale(tape.SumRows(tape.Multiply(deviation, deviation)), 1.0 / Math.Max(1, variance == Variance.Unbiased ? n - 1 : n));
        return tape.Divide(spread, tape.Shift(tape.Multiply(mean, mean), epsilon));
    }

    /// <summary>Sums over the tokens of each group, divided by <paramref name="divisor"/>: [G, columns].</summary>
    public static Tensor GroupSums(Tape tape, RouterCall call, Tensor x, double divisor)
    {
        var sums = tape.SumGroups(x, call.Groups, call.SpansShards);
        return divisor == 1 ? sums : tape.Scale(sums, 1 / divisor);
    }

    /// <summary>Mean of a column.</summary>
    public static Tensor Mean(Tape tape, Tensor column) => tape.SumColumns(column, 1.0 / tape.TotalRows(column));
}
