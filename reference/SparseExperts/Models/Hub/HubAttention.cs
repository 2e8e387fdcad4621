using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>Self-attention of a decoder layer, from its normalised input to what joins the residual stream.</summary>
static class HubAttention
{
    /// <param name="x">[T, M].</param>
    /// <param name="epsilon">Of the norms of queries and keys.</param>
    public static Tensor Forward(Tape tape, AttentionForm form, AttentionWeights weights, Tensor x, HubInputs inputs, NumberFormat format,
        double epsilon, NormRounding norms)
    {
        var rounded = tape.In(format);
        HeadLayout queryHeads = new(inputs.Rows, inputs.Length, form.Heads, form.KeysTakeTurns), keyHeads = queryHeads with { Heads = form.KeyHeads };
        Tensor Normed(Tensor heads, Tensor? weight) => weight is null ? heads : rounded.Norm(heads, weight, epsilon, norms);
        Tensor Turned(Tensor heads, HeadLayout layout) =>
            form.Rotary is { } rotary ? Rotation.Apply(tape, form, rotary, layout, inputs, heads, format) : heads;
        var (q, k, v) = form.Latent is { } latent
            ? Latent(tape, form, latent, weights, x, queryHeads, format, norms)
            : Plain(tape, form, weights, x, queryHeads, keyHeads, rounded, epsilon, norms);
        if (form.Norm == QueryKeyNorm.Head && !form.NormBehindRotary) (q, k) = (Normed(q, weights.QueryNorm), Normed(k, weights.KeyNorm));
        (q, k) = (Turned(q, queryHeads), Turned(k, keyHeads));
        if (form.Norm == QueryKeyNorm.Head && form.NormBehindRotary) (q, k) = (Normed(q, weights.QueryNorm), Normed(k, weights.KeyNorm));
        if (form.Norm == QueryKeyNorm.Unweighted) (q, k) = (rounded.Normed(q, epsilon), rounded.Normed(k, epsilon));
        if (form.Temperature is { } temperature) q = rounded.ScaleRows(q, Temperature(tape, temperature, queryHeads));
        if (form.ValueNorm) v = rounded.Normed(v, epsilon);

        var offsets = GroupOffsets.Upload(tape, queryHeads.Offsets);
        var scores = rounded.Scale(rounded.Round(tape.GroupedLinear(q, queryHeads.Turned(tape, k, form.KeyHeads), offsets)), form.Scale);
        var p = Probabilities(tape, form, weights, scores, inputs, queryHeads, format);
        var mixed = rounded.Round(tape.GroupedLinear(p, queryHeads.Repeated(tape, v, form.KeyHeads), offsets));             // [(row, head, column), dᵥ]
        return rounded.Project(queryHeads.Back(tape, mixed), weights.Output);
    }

    /// <summary>Queries, keys and values as rows of heads, from a projection each.</summary>
    static (Tensor Q, Tensor K, Tensor V) Plain(Tape tape, AttentionForm form, AttentionWeights weights, Tensor x, HeadLayout queryHeads,
        HeadLayout keyHeads, InFormat rounded, double epsilon, NormRounding norms)
    {
        Tensor Projected(Projected by) =>
            form.Clip is { } limit ? tape.Clamp(rounded.Project(x, by), -limit, limit) : rounded.Project(x, by);
        Tensor q = Projected(weights.Query), k = Projected(weights.Key), v = Projected(weights.Value);
        if (form.Norm == QueryKeyNorm.Whole)
            (q, k) = (rounded.Norm(q, weights.QueryNorm!, epsilon, norms), rounded.Norm(k, weights.KeyNorm!, epsilon, norms));
        Tensor Heads(Tensor projected, HeadLayout layout, int width) => layout.Take(tape, projected, width, (head, i) => head * width + i);
        return (Heads(q, queryHeads, form.HeadWidth), Heads(k, keyHeads, form.HeadWidth), Heads(v, keyHeads, form.ValueWidth));
    }

    /// <summary>The same through low ranks: keys are a part of each head's own and a rotated one that all heads share.</summary>
    static (Tensor Q, Tensor K, Tensor V) Latent(Tape tape, AttentionForm form, HubLatent latent, AttentionWeights weights, Tensor x, HeadLayout heads,
        NumberFormat format, NormRounding norms)
    {
        var rounded = tape.In(format);
        var down = weights.QueryDown is { } first
            ? rounded.Norm(rounded.Project(x, first), weights.QueryDownNorm!, latent.NormEpsilon, norms)
            : x;
        var q = rounded.Project(down, weights.Query);
        var compressed = rounded.Project(x, weights.Key);                                                                  // [T, rank + rotated]
        var own = rounded.Norm(tape.Columns(compressed, 0, latent.KeyValueRank), weights.KeyDownNorm!, latent.NormEpsilon, norms);
        var both = rounded.Project(own, weights.Value);                                                                   // [T, heads·(plain + dᵥ)]
        int plain = latent.PlainWidth, each = plain + form.ValueWidth, width = form.HeadWidth;
        var k = tape.Add(
            heads.Take(tape, both, width, (head, i) => i < plain ? head * each + i : -1),
            heads.Take(tape, compressed, width, (_, i) => i < plain ? -1 : latent.KeyValueRank + i - plain));
        return (heads.Take(tape, q, width, (head, i) => head * width + i), k, heads.Take(tape, both, form.ValueWidth, (head, i) => head * each + plain + i));
    }

    /// <summary>Softmax over the keys that are seen, and the sink where there is one, which then is cut off.</summary>
    static Tensor Probabilities(Tape tape, AttentionForm form, AttentionWeights weights, Tensor scores, HubInputs inputs, HeadLayout layout,
        NumberFormat format)
    {
        var rounded = tape.In(format);
        if (form.Sinks) scores = WithSinks(tape, scores, weights.Sinks!, layout);
        var masked = AttentionMask.On(tape, form, layout, inputs, scores, format);
        if (form.SoftmaxInFormat && format != NumberFormat.Float32) masked = rounded.Round(BelowLargest(tape, masked));
        var p = rounded.Round(tape.Softmax(masked));
        return form.Sinks ? tape.Columns(p, 0, layout.Length) : p;
    }

    /// <summary>One more column with each head's sink.</summary>
    static Tensor WithSinks(Tape tape, Tensor scores, Tensor sinks, HeadLayout layout)
    {
        int length = layout.Length, columns = length + 1;
        int[] wider = [.. Enumerable.Range(0, layout.Count * columns).Select(i => i % columns < length ? i / columns * length + i % columns : -1)];
        int[] last = [.. Enumerable.Range(0, layout.Count * columns).Select(i => i % columns < length ? -1 : layout.Head(i / columns))];
        return tape.Add(tape.GatherElements(scores, wider, layout.Count, columns, 0), tape.GatherElements(sinks, last, layout.Count, columns, 0));
    }

    /// <summary>x − the largest of its row, which changes no softmax but what rounding makes of it.</summary>
    static Tensor BelowLargest(Tape tape, Tensor x)
    {
        var largest = HostNumbers.Of(tape, x).Values.Chunk(x.Columns).Select(row => -row.Max()).ToArray();
        return tape.Add(x, tape.RepeatColumn(tape.Column(largest), x.Columns));
    }

    /// <summary>Counted in columns, whatever the positions are.</summary>
    static Tensor Temperature(Tape tape, HubTemperature form, HeadLayout layout) => tape.Column(
        [.. Enumerable.Range(0, layout.Count).Select(r =>
            ReproducibleMath.Log(1 + Math.Floor((layout.Token(r) % layout.Length + 1.0) / form.Floor)) * form.Scale + 1)]);
}
