using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>cos and sin of position·base^(−2i/d), [positions, d/2], for rotary embeddings.</summary>
public readonly record struct RotaryTables(Matrix Cosines, Matrix Sines)
{
    /// <summary>Computed in double, rounded once.</summary>
    public static RotaryTables Create(IBackend backend, int positions, int headWidth, double frequencyBase = 10000)
    {
        var half = headWidth / 2;
        double[] cos = new double[positions * half], sin = new double[positions * half];
        double[] frequency = [.. Enumerable.Range(0, half).Select(i => ReproducibleMath.Pow(frequencyBase, -(double)i / half))];
        for (var p = 0; p < positions; p++)
            for (var i = 0; i < half; i++)
                (sin[p * half + i], cos[p * half + i]) = ReproducibleMath.SinCos(p * frequency[i]);
        Matrix cosines = backend.Rent(positions, half), sines = backend.Rent(positions, half);
        backend.Write(cosines, cos);
        backend.Write(sines, sin);
        return new(cosines, sines);
    }
}

public static partial class Op
{
    /// <summary>
    /// Multi-head self-attention on packed projections: columns of <paramref name="qkv"/> [B·S, 3·H·d] are Q, K, V. With
    /// <paramref name="rotary"/>, Q and K are rotated first; with <paramref name="bias"/> [H·S, S], it is added to the scores.
    /// </summary>
    /// <remarks>See <see cref="IAttention.AttentionBackward"/>; the rotation's gradient is the inverse rotation.</remarks>
    public static Tensor SelfAttention(this Tape tape, AttentionShape shape, Tensor qkv, RotaryTables? rotary, Tensor? bias)
    {
        var width = shape.Width;
        return tape.Apply(nameof(SelfAttention), qkv.Rows, width, [qkv, bias],
            y =>
            {
                var probabilities = y.Save(shape.ScoreRows, shape.Length);
                if (rotary is { } tables)
                {
                    var turned = y.Save(qkv.Rows, 2 * width);
                    tape.Backend.Rotary(qkv.Value.ColumnRange(0, 2 * width), tables.Cosines, tables.Sines, shape.HeadWidth, false, turned, false);
                }
                var (q, k, v) = Parts(y);
                tape.Backend.Attention(shape, q, k, v, bias?.Value, null, probabilities, y.Value);
            },
            y =>
            {
                var d = qkv.GradientTarget(out var add);
                var dv = d.ColumnRange(2 * width, width);
                var dqk = rotary is null ? d.ColumnRange(0, 2 * width) : tape.Rent(qkv.Rows, 2 * width);
                if (rotary is not null && add) tape.Backend.Fill(dqk, 0);
                Matrix? dBias = bias is { RequiresGradient: true } ? tape.Zeros(bias.Rows, bias.Columns) : null;
                var (q, k, v) = Parts(y);
                Matrix dq = dqk.ColumnRange(0, width), dk = dqk.ColumnRange(width, width);
                tape.Backend.AttentionBackward(shape, q, k, v, y.Saved[0], y.Gradient, dq, dk, dv, add, dBias);
                if (rotary is { } t) tape.Backend.Rotary(dqk, t.Cosines, t.Sines, shape.HeadWidth, true, d.ColumnRange(0, 2 * width), add);
                if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Length);        // last: the bias may be the same tensor
            });

        // Q and K come from what the rotation kept, where there is one.
        (Matrix Q, Matrix K, Matrix V) Parts(Node y)
        {
            var qk = rotary is null ? qkv.Value.ColumnRange(0, 2 * width) : y.Saved[1];
            return (qk.ColumnRange(0, width), qk.ColumnRange(width, width), qkv.Value.ColumnRange(2 * width, width));
        }
    }
}
