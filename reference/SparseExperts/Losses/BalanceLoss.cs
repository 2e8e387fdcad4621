using SparseExperts.Autograd;

namespace SparseExperts.Losses;

public static class BalanceLoss
{
    /// <summary>
    /// Load-balancing loss of Switch: (1/G) Σ_g E·ρ_g·Σ_e f_ge·P_ge, f = share of the group's tokens whose first choice is e (a constant),
    /// P = mean probability of e over the group, ρ = share of tokens that are not padding. Padding counts in f and P and only scales by ρ
    /// (Fedus et al. 2022, eq. 4; Mesh-TensorFlow moe.py, _switch_gating).
    /// </summary>
    /// <param name="probabilities">[T, E].</param>
    /// <param name="firstChoice">Argmax expert of every token, padding included [T].</param>
    /// <remarks>dp_te = dloss·E·ρ_g·f_ge/(G·S).</remarks>
    public static Tensor Switch(Tape tape, Tensor probabilities, ReadOnlySpan<int> firstChoice, int groups, ReadOnlySpan<float> importance)
    {
        int tokens = probabilities.Rows, experts = probabilities.Columns, size = tokens / groups;
        var coefficients = new double[groups * experts];
        for (var g = 0; g < groups; g++)
        {
            var real = size;
            if (importance.Length > 0) real = importance.Slice(g * size, size).ToArray().Count(i => i == 1);
            for (var t = g * size; t < (g + 1) * size; t++)
                coefficients[g * experts + firstChoice[t]] += (double)experts * real / size / size / groups / size;
        }
        var backend = tape.Backend;
        var c = tape.Rent(groups, experts);
        backend.Write(c, coefficients);
        var loss = tape.Result(1, 1, probabilities);
        var sums = tape.Rent(groups, experts);
        for (var g = 0; g < groups; g++)
        {
            backend.SumColumns(probabilities.Value.RowRange(g * size, size), sums.RowRange(g, 1), false);
            backend.RowDots(sums.RowRange(g, 1), c.RowRange(g, 1), loss.Value, g > 0);
        }
        tape.Record(loss, () =>
        {
            var target = probabilities.GradientTarget(out var add);
            var scaled = tape.Rent(1, experts);
            for (var g = 0; g < groups; g++)
            {
                backend.Gemm(loss.Gradient, false, c.RowRange(g, 1), false, scaled, false);
                backend.Gemm(tape.Ones(size), false, scaled, false, target.RowRange(g * size, size), add);
            }
        });
        return loss;
    }
}
