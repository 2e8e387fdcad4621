using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>
/// Self-attention of a decoder layer as eager code of a narrow format computes it: scores, what is added to them, shares and sums are each rounded. Heads
/// lie below each other and meet their keys as groups of one product.
/// </summary>
static class HubAttentionInFormat
{
    /// <param name="x">[T, M].</param>
    /// <param name="epsilon">Of the norms of queries and keys.</param>
    /// <param name="layer">The layer's place in a cache.</param>
    public static Tensor Forward(Tape tape, AttentionForm form, AttentionWeights weights, Tensor x, HubInputs inputs, NumberFormat format,
        double epsilon, NormRounding norms, int layer)
    {
        var rounded = tape.In(format);
        HeadLayout queryHeads = new(inputs.Rows, inputs.Length, form.Heads, form.KeysTakeTurns), keyHeads = queryHeads with { Heads = form.KeyHeads };
        Tensor Normed(Tensor heads, Tensor? weight) => weight is null ? heads : rounded.Norm(heads, weight, epsilon, norms);
        Tensor Turned(Tensor heads, HeadLayout layout) =>
            form.Rotary is { } rotary ? Rotation.Apply(tape, form, rotary, layout, inputs, heads, format) : heads;
        var (q, k, v) = Heads(tape, form, HubProjections.Of(rounded, form, weights, x, epsilon, norms), queryHeads, keyHeads);
        if (form.Norm == QueryKeyNorm.Head && !form.NormBehindRotary) (q, k) = (Normed(q, weights.QueryNorm), Normed(k, weights.KeyNorm));
        (q, k) = (Turned(q, queryHeads), Turned(k, keyHeads));
        if (form.Norm == QueryKeyNorm.Head && form.NormBehindRotary) (q, k) = (Normed(q, weights.QueryNorm), Normed(k, weights.KeyNorm));
        if (form.Norm == QueryKeyNorm.Unweighted) (q, k) = (rounded.Normed(q, epsilon), rounded.Normed(k, epsilon));
        if (form.Temperature is { } temperature) q = rounded.ScaleRows(q, Temperature(tape, temperature, queryHeads, inputs.Before));
        if (form.ValueNorm) v = rounded.Normed(v, epsilon);
        if (inputs.Cache is { } cache)
        {
            var kept = cache.Keep(tape, layer, keyHeads.Back(tape, k).Value, keyHeads.Back(tape, v).Value);
            Tensor Of(Tensor all, int width) => (keyHeads with { Length = inputs.Keys }).Take(tape, all, width, (head, i) => head * width + i);
            (k, v) = (Of(kept.Keys, k.Columns), Of(kept.Values, v.Columns));
        }

        // A key head for every query head.
        var meeting = queryHeads with { Length = inputs.Keys };
        var offsets = GroupOffsets.Upload(tape, queryHeads.Offsets);
        var scores = rounded.Scale(rounded.Round(tape.GroupedLinear(q, meeting.Turned(tape, k, form.KeyHeads), offsets)), form.Scale);
        var p = Probabilities(tape, form, weights, scores, inputs, queryHeads, format);
        var mixed = rounded.Round(tape.GroupedLinear(p, meeting.Repeated(tape, v, form.KeyHeads), offsets));             // [(row, head, column), dᵥ]
        return rounded.Project(queryHeads.Back(tape, mixed), weights.Output);
    }

    /// <summary>Queries, keys and values as rows of heads.</summary>
    static (Tensor Q, Tensor K, Tensor V) Heads(Tape tape, AttentionForm form, in HubProjections projected, HeadLayout queryHeads, HeadLayout keyHeads)
    {
        int width = form.HeadWidth, values = form.ValueWidth;
        var q = queryHeads.Take(tape, projected.Query, width, (head, i) => head * width + i);
        if (form.Latent is not { } latent)
        {
            var k = keyHeads.Take(tape, projected.Key, width, (head, i) => head * width + i);
            return (q, k, keyHeads.Take(tape, projected.Value, values, (head, i) => head * values + i));
        }
        int plain = latent.PlainWidth, each = plain + values;
        var both = tape.Add(
            queryHeads.Take(tape, projected.Value, width, (head, i) => i < plain ? head * each + i : -1),
            queryHeads.Take(tape, projected.Key, width, (_, i) => i < plain ? -1 : latent.KeyValueRank + i - plain));
        return (q, both, queryHeads.Take(tape, projected.Value, values, (head, i) => head * each + plain + i));
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
        return form.Sinks ? tape.Columns(p, 1, inputs.Keys) : p;
    }

    /// <summary>Each head's sink as a first column: behind the scores, its place in a sum would depend on how many there are.</summary>
    static Tensor WithSinks(Tape tape, Tensor scores, Tensor sinks, HeadLayout layout)
    {
        int length = scores.Columns, columns = length + 1;
        int[] wider = [.. Enumerable.Range(0, layout.Count * columns).Select(i => i % columns > 0 ? i / columns * length + i % columns - 1 : -1)];
        int[] first = [.. Enumerable.Range(0, layout.Count * columns).Select(i => i % columns > 0 ? -1 : layout.Head(i / columns))];
        return tape.Add(tape.GatherElements(scores, wider, layout.Count, columns, 0), tape.GatherElements(sinks, first, layout.Count, columns, 0));
    }

    /// <summary>x − the largest of its row, which changes no softmax but what rounding makes of it.</summary>
    static Tensor BelowLargest(Tape tape, Tensor x)
    {
        var largest = HostNumbers.Of(tape, x).Values.Chunk(x.Columns).Select(row => -row.Max()).ToArray();
        return tape.Add(x, tape.RepeatColumn(tape.Column(largest), x.Columns));
    }

    /// <summary>Counted in columns, whatever the positions are.</summary>
    static Tensor Temperature(Tape tape, HubTemperature form, HeadLayout layout, int before) => tape.Column(
        [.. Enumerable.Range(0, layout.Count).Select(r =>
            ReproducibleMath.Log(1 + Math.Floor((before + layout.Token(r) % layout.Length + 1.0) / form.Floor)) * form.Scale + 1)]);
}
