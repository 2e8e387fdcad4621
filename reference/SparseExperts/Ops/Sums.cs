using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y_j = factor·Σ_r x_rj down every column, over the tokens of all shards; Y is [1, columns].</summary>
    /// <remarks>dx_rj = factor·dy_j.</remarks>
    public static Tensor SumColumns(this Tape tape, Tensor x, double factor) => tape.Apply(nameof(SumColumns), 1, x.Columns, (0, 1), [x],
        y =>
        {
            var sum = tape.SumOfParts(x, x.Columns, (part, to) => tape.Backend.SumColumns(part, to, x.Sequence, false));
            tape.Backend.Scale(sum, factor, y.Value, false);
        },
        y =>
        {
            var scaled = tape.Rent(1, x.Columns);
            tape.Backend.Scale(y.Gradient, factor, scaled, false);
            tape.Backend.Gemm(tape.Constants.Ones(x.Rows), false, scaled, false, x.GradientTarget(out var add), add);
        });

    /// <summary>y = factor·Σ_r x_r² over a column X [rows, 1], over the tokens of all shards; Y is 1×1.</summary>
    /// <remarks>dx_r = 2·factor·dy·x_r.</remarks>
    public static Tensor SumSquares(this Tape tape, Tensor x, double factor) => tape.Apply(nameof(SumSquares), 1, 1, (0, 1), [x],
        y =>
        {
            if (tape.HasWhole(x))
            {
                tape.Backend.SumSquares(x.Value, factor, x.Sequence, y.Value);
                return;
            }
            var sum = tape.SumOfParts(x, 1, (part, to) => tape.Backend.SumSquares(part, 1, x.Sequence, to));
            tape.Backend.Scale(sum, factor, y.Value, false);
        },
        y => tape.Backend.SumSquaresBackward(x.Value, factor, y.Gradient, x.GradientTarget(out var add), add));

    /// <summary>Sums over the tokens of each of G equal groups: y_g = Σ_{t in g} x_t, of all layers that lie one below the other; Y is [G, columns].</summary>
    /// <param name="spansShards">The one group has the tokens of all shards.</param>
    /// <remarks>dx_t = dy_{group of t}.</remarks>
    public static Tensor SumGroups(this Tape tape, Tensor x, int groups, bool spansShards)
    {
        if (groups == 1 && spansShards) return tape.SumColumns(x, 1);
        var of = new TokenGroups(x.Rows / x.Parts, groups, x.Sequence);
        var (tokens, size) = (of.Rows, of.Size);
        return tape.Apply(nameof(SumGroups), groups, x.Columns, (of.SequenceOfGroups, 1), [x],
            y =>
            {
                for (var p = 0; p < x.Parts; p++)
                    for (var g = 0; g < groups; g++)
                        tape.Backend.SumColumns(x.Value.RowRange(p * tokens + g * size, size), y.Value.RowRange(g, 1), of.SequenceOfRows, p > 0);
            },
            y =>
            {
                var groupOf = x.Parts == 1
                    ? tape.Constants.Run(0, 1, size, x.Rows)
                    : tape.Constants.Indices((nameof(SumGroups), tokens, size, x.Rows), () => [.. Enumerable.Range(0, x.Rows).Select(r => r % tokens / size)]);
                tape.Backend.GatherRows(y.Gradient, groupOf, x.GradientTarget(out var add), add);
            });
    }

    /// <summary>
    /// y = Σ_g Σ_j w_gj·(factor·Σ_{t in g} x_tj) over G equal groups of tokens, w_gj what <paramref name="shares"/> has at place counts_gj; Y is 1×1. The
    /// tape has the whole batch.
    /// </summary>
    /// <param name="shares">A constant column.</param>
    /// <param name="counts">[G·E], −1 where the share is 0.</param>
    /// <remarks>dx_tj = dy·w_gj·factor, g the group of t.</remarks>
    public static Tensor BalanceLoss(this Tape tape, Tensor x, Matrix shares, Indices counts, int groups, double factor)
    {
        if (!tape.HasWhole(x)) throw new ArgumentException("BalanceLoss: the rows are a part of a batch; sum them over all parts first", nameof(x));
        return tape.Apply(nameof(BalanceLoss), 1, 1, (0, 1), [x],
            y => tape.Backend.BalanceLoss(x.Value, shares, counts, groups, factor, x.Sequence, y.Value),
            y => tape.Backend.BalanceLossBackward(shares, counts, groups, factor, y.Gradient, x.GradientTarget(out var add), add));
    }

    /// <summary>y = Σ_i w_i·x_i over all elements, w constant; Y is 1×1.</summary>
    /// <remarks>dx_i = w_i·dy.</remarks>
    public static Tensor WeightedSum(this Tape tape, Tensor x, ReadOnlySpan<double> weights) => tape.WeightedSum(x, tape.Numbers(x.Rows, x.Columns, weights));

    /// <summary>The same with constants that the backend has, of X's shape.</summary>
    internal static Tensor WeightedSum(this Tape tape, Tensor x, Tensor weights) => tape.SumColumns(tape.SumRows(tape.Multiply(x, weights)), 1);
}
