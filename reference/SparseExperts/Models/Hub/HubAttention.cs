using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>
/// Self-attention of a decoder layer, from its normalised input to what joins the residual stream: one op on heads side by side. In a narrow format it is
/// composed (<see cref="HubAttentionInFormat"/>).
/// </summary>
static class HubAttention
{
    /// <param name="x">[T, M].</param>
    /// <param name="epsilon">Of the norms of queries and keys.</param>
    /// <param name="layer">The layer's place in a cache.</param>
    public static Tensor Forward(Tape tape, AttentionForm form, AttentionWeights weights, Tensor x, HubInputs inputs, NumberFormat format,
        double epsilon, NormRounding norms, int layer)
    {
        if (format != NumberFormat.Float32) return HubAttentionInFormat.Forward(tape, form, weights, x, inputs, format, epsilon, norms, layer);
        var rounded = tape.In(format);
        var tables = form.Rotary is { } turning ? HeadRotation.Tables(tape, turning, inputs) : default;
        Tensor Normed(Tensor heads, int count, Tensor? weight) =>
            weight is null ? heads : OfHeads(tape, heads, count, each => rounded.Norm(each, weight, epsilon, norms));
        Tensor Divided(Tensor heads, int count) => OfHeads(tape, heads, count, each => rounded.Normed(each, epsilon));
        Tensor Turned(Tensor heads, int count) =>
            form.Rotary is { } rotary ? HeadRotation.Apply(tape, rotary, form.RotaryFirst, tables, heads, count) : heads;

        var (q, k, v) = Heads(tape, form, HubProjections.Of(rounded, form, weights, x, epsilon, norms));
        void NormHeads() => (q, k) = (Normed(q, form.Heads, weights.QueryNorm), Normed(k, form.KeyHeads, weights.KeyNorm));
        if (form.Norm == QueryKeyNorm.Head && !form.NormBehindRotary) NormHeads();
        (q, k) = (Turned(q, form.Heads), Turned(k, form.KeyHeads));
        if (form.Norm == QueryKeyNorm.Head && form.NormBehindRotary) NormHeads();
        if (form.Norm == QueryKeyNorm.Unweighted) (q, k) = (Divided(q, form.Heads), Divided(k, form.KeyHeads));
        if (form.Temperature is { } temperature) q = tape.ScaleRows(q, Temperature(tape, temperature, inputs));
        if (form.ValueNorm) v = Divided(v, form.KeyHeads);
        if (form.KeysTakeTurns) (k, v) = (InTurns(tape, form, k), InTurns(tape, form, v));
        if (inputs.Cache is { } cache) (k, v) = cache.Keep(tape, layer, k.Value, v.Value);

        var (shape, pad) = AttentionMask.Of(tape, form, inputs);
        return rounded.Project(tape.Attention(shape, q, k, v, pad: pad, sinks: form.Sinks ? weights.Sinks : null), weights.Output);
    }

    /// <summary>Queries, keys and values, heads side by side.</summary>
    static (Tensor Q, Tensor K, Tensor V) Heads(Tape tape, AttentionForm form, in HubProjections projected)
    {
        var (q, k, v) = projected;
        if (form.Latent is not { } latent) return (q, k, v);
        // Keys are a part of each head's own and a rotated one that all heads share.
        int tokens = v.Rows, heads = form.Heads, plain = latent.PlainWidth;
        var both = tape.Reshape(v, tokens * heads, plain + form.ValueWidth);
        var shared = tape.GatherRows(tape.Columns(k, latent.KeyValueRank, latent.RotaryWidth), tape.Constants.Run(0, 1, heads, tokens * heads));
        Tensor Together(Tensor each) => tape.Reshape(each, tokens, heads * each.Columns, v.Sequence);
        return (q, Together(tape.JoinColumns([tape.Columns(both, 0, plain), shared])), Together(tape.Columns(both, plain, form.ValueWidth)));
    }

    /// <summary>What an op makes of rows that have one head each.</summary>
    static Tensor OfHeads(Tape tape, Tensor x, int heads, Func<Tensor, Tensor> op) =>
        tape.Reshape(op(tape.Reshape(x, x.Rows * heads, x.Columns / heads)), x.Rows, x.Columns, x.Sequence);

    /// <summary>The heads of keys one after the other, again and again: each for the query head in its place.</summary>
    static Tensor InTurns(Tape tape, AttentionForm form, Tensor heads) =>
        tape.JoinColumns([.. Enumerable.Repeat(heads, form.Heads / form.KeyHeads)]);

    /// <summary>Counted in columns, whatever the positions are.</summary>
    static Tensor Temperature(Tape tape, HubTemperature form, HubInputs inputs) => tape.Column(
        [.. Enumerable.Range(0, inputs.Ids.Length).Select(t =>
            ReproducibleMath.Log(1 + Math.Floor((inputs.Before + t % inputs.Length + 1.0) / form.Floor)) * form.Scale + 1)]);
}
