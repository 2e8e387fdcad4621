using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>
    /// Y = softmax(scale·QKᵀ + bias + pad, sinks)·V, per sequence and head (Vaswani et al. 2017, eq. 1). Q [B·Q, H·d], Y [B·Q, H·w], K [B·K, G·d],
    /// V [B·K, G·w]; <paramref name="bias"/> [H·Q, K] and <paramref name="pad"/> [B, K] or [B·Q, K] are added to the scores where given,
    /// <paramref name="sinks"/> [1, H] compete with them; who sees whom is the <see cref="AttentionShape"/>'s. One tensor may stand in several places.
    /// </summary>
    /// <remarks>See <see cref="IAttention.AttentionBackward"/>; the sinks' gradient is summed over tokens.</remarks>
    public static Tensor Attention(this Tape tape, AttentionShape shape, Tensor q, Tensor k, Tensor v, Tensor? bias = null, Matrix? pad = null,
        Tensor? sinks = null)
    {
        shape = shape with { Sinks = sinks is not null };
        var terms = new AttentionTerms(bias?.Value, pad, sinks?.Value);
        return tape.Apply(nameof(Attention), q.Rows, shape.OutputColumns, [q, k, v, bias, sinks],
            y => Attend(y, tape, shape, q.Value, k.Value, v.Value, terms),
            y =>
            {
                // The op's destinations must not overlap: a tensor in two places gets its later gradients afterwards.
                bool isK = ReferenceEquals(k, q), isV = ReferenceEquals(v, q) || ReferenceEquals(v, k);
                (Matrix Place, bool Adds) To(Tensor x, bool taken) =>
                    taken || !x.RequiresGradient ? (tape.Rent(x.Rows, x.Columns), false) : (x.GradientTarget(out var add), add);
                var (dq, dk, dv) = (To(q, false), To(k, isK), To(v, isV));
                Matrix? dBias = OfBias(tape, bias), dSinks = sinks is { RequiresGradient: true } ? tape.Rent(q.Rows, shape.Heads) : null;
                AttendBackward(y, tape, shape, q.Value, k.Value, v.Value, terms, dq, dk, dv, dBias, dSinks);
                if (isK && k.RequiresGradient) tape.Pass(dk.Place, k);
                if (isV && v.RequiresGradient) tape.Pass(dv.Place, v);
                if (dBias is { } sum) tape.AddOverTokens(sum, bias!, shape.Queries);
                if (dSinks is { } rows) tape.SumOverTokens(sinks!, shape.Queries, (to, add) => tape.Backend.SumColumns(rows, to, shape.Queries, add));
            });
    }

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
                Attend(y, tape, shape, q, k, v, new(bias?.Value));
            },
            y =>
            {
                var d = qkv.GradientTarget(out var add);
                var isRotated = rotary is not null;
                var dqk = isRotated ? tape.Rent(qkv.Rows, 2 * width) : d.ColumnRange(0, 2 * width);
                var addQk = add && !isRotated;
                var (q, k, v) = Parts(y);
                var dBias = OfBias(tape, bias);
                AttendBackward(y, tape, shape, q, k, v, new(bias?.Value),
                    (dqk.ColumnRange(0, width), addQk), (dqk.ColumnRange(width, width), addQk), (d.ColumnRange(2 * width, width), add), dBias, null);
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
    static void Attend(Node y, Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms)
    {
        var (rows, columns) = tape.Backend.AttentionSaved(shape);
        tape.Backend.Attention(shape, q, k, v, terms, y.Save(rows, columns), y.Value);
    }

    /// <summary>Where the bias's gradient over this tape's sequences goes; null where nobody wants it.</summary>
    static Matrix? OfBias(Tape tape, Tensor? bias) => bias is { RequiresGradient: true } ? tape.Zeros(bias.Rows, bias.Columns) : null;

    /// <summary>The backward op on views.</summary>
    static void AttendBackward(Node y, Tape tape, AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms,
        (Matrix Place, bool Adds) dq, (Matrix Place, bool Adds) dk, (Matrix Place, bool Adds) dv, Matrix? dBias, Matrix? dSinks) =>
        tape.Backend.AttentionBackward(shape, q, k, v, terms, y.Saved[^1], y.Value, y.Gradient,
            dq.Place, dq.Adds, dk.Place, dk.Adds, dv.Place, dv.Adds, dBias, dSinks);
}
