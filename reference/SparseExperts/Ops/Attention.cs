using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>
    /// Y = softmax(scale·QKᵀ + bias + pad)·V, per sequence and head (Vaswani et al. 2017, eq. 1). Q, Y are [B·Q, H·d], K, V [B·K, H·d]; <paramref name="bias"/>
    /// [H·Q, K] and <paramref name="pad"/> [B, K] are added to the scores where given; causal queries stand at the end of the keys
    /// (<see cref="AttentionShape"/>). One tensor may stand in several places.
    /// </summary>
    /// <remarks>See <see cref="IAttention.AttentionBackward"/>.</remarks>
    public static Tensor Attention(this Tape tape, AttentionShape shape, Tensor q, Tensor k, Tensor v, Tensor? bias = null, Matrix? pad = null)
    {
        var y = tape.Result(q.Rows, shape.Width, q, k, v, bias);
        var saved = Attend(tape, shape, q.Value, k.Value, v.Value, bias, pad, y);
        tape.Record(y, () =>
        {
            // The op's destinations must not overlap: a tensor in two places gets its later gradients afterwards.
            bool isK = ReferenceEquals(k, q), isV = ReferenceEquals(v, q) || ReferenceEquals(v, k);
            (Matrix Place, bool Adds) To(Tensor x, bool taken) =>
                taken || !x.RequiresGradient ? (tape.Rent(x.Rows, x.Columns), false) : (x.GradientTarget(out var add), add);
            var (dq, dk, dv) = (To(q, false), To(k, isK), To(v, isV));
            var dBias = AttendBackward(tape, shape, q.Value, k.Value, v.Value, bias, pad, saved, y, dq, dk, dv);
            if (isK && k.RequiresGradient) tape.Pass(dk.Place, k);
            if (isV && v.RequiresGradient) tape.Pass(dv.Place, v);
            if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Queries);
        });
        return y;
    }

    /// <summary>
    /// Multi-head self-attention on packed projections: columns of <paramref name="qkv"/> [B·S, 3·H·d] are Q, K, V. With
    /// <paramref name="rotary"/>, Q and K are rotated first; with <paramref name="bias"/> [H·S, S], it is added to the scores.
    /// </summary>
    /// <remarks>Attention on views of the columns; the rotation's gradient is the inverse rotation.</remarks>
    public static Tensor SelfAttention(this Tape tape, AttentionShape shape, Tensor qkv, RotaryTables? rotary, Tensor? bias)
    {
        var width = shape.Width;
        var y = tape.Result(qkv.Rows, width, qkv, bias);
        var qk = Rotated(tape, shape, qkv, rotary);
        Matrix q = qk.ColumnRange(0, width), k = qk.ColumnRange(width, width), v = qkv.Value.ColumnRange(2 * width, width);
        var saved = Attend(tape, shape, q, k, v, bias, null, y);
        tape.Record(y, () =>
        {
            var d = qkv.GradientTarget(out var add);
            var isRotated = rotary is not null;
            var dqk = isRotated ? tape.Rent(qkv.Rows, 2 * width) : d.ColumnRange(0, 2 * width);
            var addQk = add && !isRotated;
            var dBias = AttendBackward(tape, shape, q, k, v, bias, null, saved, y,
                (dqk.ColumnRange(0, width), addQk), (dqk.ColumnRange(width, width), addQk), (d.ColumnRange(2 * width, width), add));
            if (rotary is { } t) tape.Backend.Rotary(dqk, t.Cosines, t.Sines, shape.HeadWidth, true, d.ColumnRange(0, 2 * width), add);
            if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Queries);        // last: the bias may be the same tensor
        });
        return y;
    }

    /// <summary>Columns Q and K of a packed projection, rotated where there are tables.</summary>
    internal static Matrix Rotated(Tape tape, AttentionShape shape, Tensor qkv, RotaryTables? rotary)
    {
        var qk = qkv.Value.ColumnRange(0, 2 * shape.Width);
        if (rotary is not { } tables) return qk;
        var rotated = tape.Rent(qkv.Rows, 2 * shape.Width);
        tape.Backend.Rotary(qk, tables.Cosines, tables.Sines, shape.HeadWidth, false, rotated, false);
        return rotated;
    }

    /// <summary>The forward op on views; returns what the backend saves.</summary>
    static Matrix Attend(Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, Tensor? bias, Matrix? pad, Tensor y)
    {
        var (rows, columns) = tape.Backend.AttentionSaved(shape);
        var saved = tape.Rent(rows, columns);
        tape.Backend.Attention(shape, q, k, v, bias?.Value, pad, saved, y.Value);
        return saved;
    }

    /// <summary>The backward op on views; returns the bias's gradient over this tape's sequences, or null where nobody wants it.</summary>
    static Matrix? AttendBackward(Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, Tensor? bias, Matrix? pad, Matrix saved, Tensor y,
        (Matrix Place, bool Adds) dq, (Matrix Place, bool Adds) dk, (Matrix Place, bool Adds) dv)
    {
        Matrix? dBias = bias is { RequiresGradient: true } ? tape.Zeros(bias.Rows, bias.Columns) : null;
        tape.Backend.AttentionBackward(shape, q, k, v, bias?.Value, pad, saved, y.Value, y.Gradient,
            dq.Place, dq.Adds, dk.Place, dk.Adds, dv.Place, dv.Adds, dBias);
        return dBias;
    }
}
