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
    public static Tensor Attention(this Tape tape, AttentionShape shape, Tensor q, Tensor k, Tensor v, Tensor? bias = null, Matrix? pad = null) =>
        tape.Apply(nameof(Attention), q.Rows, shape.Width, [q, k, v, bias],
            y => Attend(y, tape, shape, q.Value, k.Value, v.Value, bias, pad),
            y =>
            {
                // The op's destinations must not overlap: a tensor in two places gets its later gradients afterwards.
                bool isK = ReferenceEquals(k, q), isV = ReferenceEquals(v, q) || ReferenceEquals(v, k);
                (Matrix Place, bool Adds) To(Tensor x, bool taken) =>
                    taken || !x.RequiresGradient ? (tape.Rent(x.Rows, x.Columns), false) : (x.GradientTarget(out var add), add);
                var (dq, dk, dv) = (To(q, false), To(k, isK), To(v, isV));
                var dBias = AttendBackward(y, tape, shape, q.Value, k.Value, v.Value, bias, pad, dq, dk, dv);
                if (isK && k.RequiresGradient) tape.Pass(dk.Place, k);
                if (isV && v.RequiresGradient) tape.Pass(dv.Place, v);
                if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Queries);
            });

    /// <summary>
    /// Multi-head self-attention on packed projections: columns of <paramref name="qkv"/> [B·S, 3·H·d] are Q, K, V. With
    /// <paramref name="rotary"/>, Q and K are rotated first; with <paramref name="bias"/> [H·S, S], it is added to the scores.
    /// </summary>
    /// <remarks>Attention on views of the columns; the rotation's gradient is the inverse rotation.</remarks>
    public static Tensor SelfAttention(this Tape tape, AttentionShape shape, Tensor qkv, RotaryTables? rotary, Tensor? bias)
    {
        var width = shape.Width;
        return tape.Apply(nameof(SelfAttention), qkv.Rows, width, [qkv, bias],
            y =>
            {
                if (rotary is { } tables) Rotate(tape, shape, qkv, tables, y.Save(qkv.Rows, 2 * width));
                var (q, k, v) = Parts(y);
                Attend(y, tape, shape, q, k, v, bias, null);
            },
            y =>
            {
                var d = qkv.GradientTarget(out var add);
                var isRotated = rotary is not null;
                var dqk = isRotated ? tape.Rent(qkv.Rows, 2 * width) : d.ColumnRange(0, 2 * width);
                var addQk = add && !isRotated;
                var (q, k, v) = Parts(y);
                var dBias = AttendBackward(y, tape, shape, q, k, v, bias, null,
                    (dqk.ColumnRange(0, width), addQk), (dqk.ColumnRange(width, width), addQk), (d.ColumnRange(2 * width, width), add));
                if (rotary is { } t) tape.Backend.Rotary(dqk, t.Cosines, t.Sines, shape.HeadWidth, true, d.ColumnRange(0, 2 * width), add);
                if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Queries);        // last: the bias may be the same tensor
            });

        // Q and K come from what the rotation kept, where there is one.
        (Matrix Q, Matrix K, Matrix V) Parts(Node y)
        {
            var qk = rotary is null ? qkv.Value.ColumnRange(0, 2 * width) : y.Saved[0];
            return (qk.ColumnRange(0, width), qk.ColumnRange(width, width), qkv.Value.ColumnRange(2 * width, width));
        }
    }

    /// <summary>Columns Q and K of a packed projection, rotated.</summary>
    internal static void Rotate(Tape tape, AttentionShape shape, Tensor qkv, RotaryTables tables, Matrix rotated) =>
        tape.Backend.Rotary(qkv.Value.ColumnRange(0, 2 * shape.Width), tables.Cosines, tables.Sines, shape.HeadWidth, false, rotated, false);

    /// <summary>The forward op on views; what the backend saves is the last that the node saves.</summary>
    static void Attend(Node y, Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, Tensor? bias, Matrix? pad)
    {
        var (rows, columns) = tape.Backend.AttentionSaved(shape);
        tape.Backend.Attention(shape, q, k, v, bias?.Value, pad, y.Save(rows, columns), y.Value);
    }

    /// <summary>The backward op on views; returns the bias's gradient over this tape's sequences, or null where nobody wants it.</summary>
    static Matrix? AttendBackward(Node y, Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, Tensor? bias, Matrix? pad,
        (Matrix Place, bool Adds) dq, (Matrix Place, bool Adds) dk, (Matrix Place, bool Adds) dv)
    {
        Matrix? dBias = bias is { RequiresGradient: true } ? tape.Zeros(bias.Rows, bias.Columns) : null;
        tape.Backend.AttentionBackward(shape, q, k, v, bias?.Value, pad, y.Saved[^1], y.Value, y.Gradient,
            dq.Place, dq.Adds, dk.Place, dk.Adds, dv.Place, dv.Adds, dBias);
        return dBias;
    }
}
