using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Hub;

/// <summary>What the first half of a layer may do instead.</summary>
static class AttentionFaults
{
    static readonly double[] Bases = [10000, 1e6, 5e5, 1.5e5, 5e6, 1e5, 1e7, 1000, 2e6, 8e6, 1e8, 2e4, 5e4, 1.6e5, 2.5e5, 1.5e6, 3e6, 4e6, 1e9, 100];

    /// <summary>In the order in which they are looked for; each is made when it is its turn, for its matrices live until the next.</summary>
    public static IEnumerable<LayerFault> Of(DecoderLayer layer, int index) =>
        OfWeights(layer, index).Concat(OfRotary(layer)).Concat(OfScores(layer)).Concat(OfMask(layer)).Concat(OfNorms(layer, index)).Concat(OfSums(layer));

    static LayerFault Fault(string sentence, DecoderLayer layer, AttentionForm form) =>
        new(sentence, layer with { Form = layer.Form with { Attention = form } });

    static LayerFault Fault(string sentence, DecoderLayer layer, AttentionWeights weights) =>
        new(sentence, layer with { Weights = layer.Weights with { Attention = weights } });

    static LayerFault OfLayer(string sentence, DecoderLayer layer, LayerForm form) => new(sentence, layer with { Form = form });

    static LayerFault OfNorm(string sentence, DecoderLayer layer, Tensor weight) =>
        new(sentence, layer with { Weights = layer.Weights with { AttentionNorm = weight } });

    static IEnumerable<LayerFault> OfWeights(DecoderLayer layer, int index)
    {
        var (tape, w) = (layer.Tape, layer.Weights.Attention);
        var latent = layer.Form.Attention.Latent is not null;
        var (query, value) = latent ? (w.QueryDown is null ? "q_proj" : "q_b_proj", "kv_b_proj") : ("q_proj", "v_proj");
        string Turned(string name) => $"{name} of layer {index} transposed";
        if (Transposed(tape, w.Output) is { } o) yield return Fault(Turned("o_proj"), layer, w with { Output = o });
        if (Transposed(tape, w.Query) is { } q) yield return Fault(Turned(query), layer, w with { Query = q });
        if (Transposed(tape, w.Key) is { } k) yield return Fault(Turned(latent ? "kv_a_proj_with_mqa" : "k_proj"), layer, w with { Key = k });
        if (Transposed(tape, w.Value) is { } v) yield return Fault(Turned(value), layer, w with { Value = v });
        if (w.QueryDown is { } down && Transposed(tape, down) is { } d) yield return Fault(Turned("q_a_proj"), layer, w with { QueryDown = d });
        if (!latent)
        {
            string Exchanged(string a, string b) => $"{a} and {b} exchanged in the self-attention of layer {index}";
            if (AreAlike(w.Query, w.Key)) yield return Fault(Exchanged("q", "k"), layer, w with { Query = w.Key, Key = w.Query });
            if (AreAlike(w.Key, w.Value)) yield return Fault(Exchanged("k", "v"), layer, w with { Key = w.Value, Value = w.Key });
            if (AreAlike(w.Query, w.Value)) yield return Fault(Exchanged("q", "v"), layer, w with { Query = w.Value, Value = w.Query });
            if (w.QueryNorm is { } own && w.KeyNorm is { } other && own.Columns == other.Columns)
                yield return Fault(Exchanged("q_norm", "k_norm"), layer, w with { QueryNorm = other, KeyNorm = own });
        }
        static Projected Bare(Projected by) => by with { Bias = null };
        string Forgotten(string name) => $"bias of {name} forgotten in layer {index}";
        if (w.Query.Bias is not null)
        {
            var bare = w with { Query = Bare(w.Query), Key = Bare(w.Key), Value = Bare(w.Value) };
            yield return Fault($"biases of q, k and v forgotten in layer {index}", layer, bare);
            yield return Fault(Forgotten("q_proj"), layer, w with { Query = Bare(w.Query) });
            yield return Fault(Forgotten("k_proj"), layer, w with { Key = Bare(w.Key) });
            yield return Fault(Forgotten("v_proj"), layer, w with { Value = Bare(w.Value) });
        }
        if (w.Output.Bias is not null) yield return Fault(Forgotten("o_proj"), layer, w with { Output = Bare(w.Output) });
        if (w.Sinks is { } sinks)
        {
            yield return Fault($"sinks of layer {index} ignored", layer, layer.Form.Attention with { Sinks = false });
            yield return Fault($"sinks of layer {index} taken as 0", layer, w with { Sinks = tape.Scale(sinks, 0) });
        }
    }

    static IEnumerable<LayerFault> OfRotary(DecoderLayer layer)
    {
        var form = layer.Form.Attention;
        LayerFault Turning(string sentence, HubRotary? rotary) => Fault(sentence, layer, form with { Rotary = rotary });
        if (form.Rotary is not { } own)
        {
            // A layer without positions that has some all the same.
            foreach (var theta in Bases)
                foreach (var pairs in (bool[])[false, true])
                    yield return Turning("queries and keys rotated, where this layer has no rotary positions",
                        new(theta, form.HeadWidth, pairs) { Rotated = form.HeadWidth, OriginalPositions = 1 });
            yield break;
        }
        foreach (var theta in Bases.Concat([own.Theta * 10, own.Theta / 10, own.Theta * 2, own.Theta / 2]).Distinct())
            if (theta != own.Theta) yield return Turning($"rotary base {Number(theta)} in place of {Number(own.Theta)}", own with { Theta = theta });
        yield return Turning(
            own.Interleaved ? "rotary positions in halves in place of pairs" : "rotary positions in pairs in place of halves",
            own with { Interleaved = !own.Interleaved });
        yield return Turning("rotary positions ignored", null);
        if (own.Scaling != RotaryScaling.None)
        {
            yield return Turning("rotary scaling ignored", own with { Scaling = RotaryScaling.None, AttentionFactor = 1, Rotated = own.Width });
            yield return Turning("rotary frequencies not scaled", own with { Scaling = RotaryScaling.None, Rotated = own.Width });
        }
        else if (form.Sinks) yield return Turning(UnsaidPositions.Sentence, UnsaidPositions.Of(own));
        if (own.Scaling == RotaryScaling.Yarn)
        {
            yield return Turning($"rotary scaling factor {Number(own.AttentionFactor)} on cosine and sine forgotten", own with { AttentionFactor = 1 });
            foreach (var factor in (double[])[own.Factor * 2, own.Factor / 2, 1])
                if (factor != own.Factor) yield return Turning($"YaRN factor {Number(factor)} in place of {Number(own.Factor)}", own with { Factor = factor });
            yield return Turning("bounds of the YaRN ramp rounded otherwise", own with { Truncate = !own.Truncate });
        }
        if (form.Latent is null && own.Width < form.HeadWidth)
            yield return Turning("the whole head rotated in place of a part", own with { Width = form.HeadWidth, Rotated = form.HeadWidth });
        if (own.Scaling == RotaryScaling.Proportional)
        {
            yield return Turning("the whole head rotated in place of a part", own with { Scaling = RotaryScaling.None, Rotated = own.Width });
            yield return Turning("frequencies of the rotated part in place of the whole head's",
                own with { Scaling = RotaryScaling.None, Width = own.Rotated });
        }
        if (form.RotaryFirst > 0 && form.RotaryFirst + own.Width == form.HeadWidth)
            yield return Fault("the first columns of a head rotated in place of the last", layer, form with { RotaryFirst = 0 });
    }

    static IEnumerable<LayerFault> OfScores(DecoderLayer layer)
    {
        var form = layer.Form.Attention;
        var scale = form.Scale;
        (string, double)[] scales =
        [
            ("forgotten", 1), ("applied twice", scale * scale), ("turned over", 1 / scale), ("without the root", 1.0 / form.HeadWidth),
            ("of the head's width", 1 / Math.Sqrt(form.HeadWidth)), ("of the values' width", 1 / Math.Sqrt(form.ValueWidth)),
            ("of the model's width", 1 / Math.Sqrt(layer.Weights.AttentionNorm.Columns)),
            ("of the part without positions", 1 / Math.Sqrt(Math.Max(1, form.RotaryFirst))),
            ("of the rotated part", 1 / Math.Sqrt(form.Rotary?.Width ?? form.HeadWidth)),
            ("of two heads", scale / Math.Sqrt(2)), ("of half a head", scale * Math.Sqrt(2)), ("doubled", 2 * scale), ("halved", scale / 2),
        ];
        foreach (var (word, other) in scales.DistinctBy(s => s.Item2))
            if (Math.Abs(other - scale) > 1e-9)
                yield return Fault($"attention scale {word}: {Number(other)} in place of {Number(scale)}", layer, form with { Scale = other });
        if (form.KeyHeads < form.Heads)
            yield return Fault("key heads repeated in turn in place of side by side", layer, form with { KeysTakeTurns = true });
        if (form.Temperature is not null) yield return Fault("temperature of the queries ignored", layer, form with { Temperature = null });
        if (form.Clip is not null) yield return Fault("queries, keys and values not clipped", layer, form with { Clip = null });
    }

    static IEnumerable<LayerFault> OfMask(DecoderLayer layer)
    {
        var form = layer.Form.Attention;
        yield return Fault("causal mask ignored", layer, form with { Ahead = int.MaxValue });
        yield return Fault("each query sees the next column too", layer, form with { Ahead = 1 });
        yield return Fault("no query sees its own column", layer, form with { Ahead = -1 });
        var what = form.Reach == AttentionReach.Chunked ? "attention chunks" : "sliding window";
        if (form.Reach == AttentionReach.Full)
        {
            var sliding = form with { Reach = AttentionReach.Sliding };
            for (var span = 2; span <= 16; span++)
                yield return Fault($"sliding window of {span} in place of full attention", layer, sliding with { Span = span });
            yield break;
        }
        yield return Fault($"{what} ignored", layer, form with { Reach = AttentionReach.Full });
        foreach (var span in Enumerable.Range(2, 15).Concat([form.Span * 2, form.Span / 2]).Prepend(form.Span - 1).Prepend(form.Span + 1).Distinct())
            if (span > 0 && span != form.Span) yield return Fault($"{what} of {span} in place of {form.Span}", layer, form with { Span = span });
        yield return form.Reach == AttentionReach.Chunked
            ? Fault("a sliding window in place of attention chunks", layer, form with { Reach = AttentionReach.Sliding })
            : Fault("attention chunks in place of a sliding window", layer, form with { Reach = AttentionReach.Chunked });
        if (form.Reach == AttentionReach.Chunked)
            yield return Fault("attention chunks counted from column 0 in place of the first token", layer, form with { ChunksFromColumnZero = true });
    }

    static IEnumerable<LayerFault> OfNorms(DecoderLayer layer, int index)
    {
        var (form, attention) = (layer.Form, layer.Form.Attention);
        foreach (var epsilon in Epsilons)
            if (epsilon != form.NormEpsilon)
                yield return OfLayer($"norm epsilon {Number(epsilon)} in place of {Number(form.NormEpsilon)}", layer, form with { NormEpsilon = epsilon });
        if (attention.Latent is { } latent)
        {
            foreach (var epsilon in Epsilons.Append(form.NormEpsilon))
                if (epsilon != latent.NormEpsilon)
                    yield return Fault($"epsilon {Number(epsilon)} in place of {Number(latent.NormEpsilon)} in the norms of latent queries and keys",
                        layer, attention with { Latent = latent with { NormEpsilon = epsilon } });
        }
        if (attention.Norm != QueryKeyNorm.None)
            yield return Fault($"norms of queries and keys forgotten in layer {index}", layer, attention with { Norm = QueryKeyNorm.None });
        var weights = layer.Weights.Attention;
        if (weights is { QueryNorm: { } queries, KeyNorm: { } keys })
        {
            yield return Fault($"weights of q_norm of layer {index} ignored", layer, weights with { QueryNorm = Ones(layer.Tape, queries) });
            yield return Fault($"weights of k_norm of layer {index} ignored", layer, weights with { KeyNorm = Ones(layer.Tape, keys) });
        }
        if (attention.Norm == QueryKeyNorm.Head)
            yield return Fault($"norms of queries and keys behind the rotation in layer {index}", layer, attention with { NormBehindRotary = true });
        if (attention.ValueNorm) yield return Fault($"norm of values forgotten in layer {index}", layer, attention with { ValueNorm = false });
        yield return new($"input_layernorm of layer {index} skipped", layer with { Before = HalfNorm.None });
        yield return new($"mean subtracted in input_layernorm of layer {index}, which is a norm of squares", layer with { Before = HalfNorm.MeanSubtracted });
        var norm = layer.Weights.AttentionNorm;
        yield return OfNorm($"weights of input_layernorm of layer {index} ignored", layer, Ones(layer.Tape, norm));
        yield return OfNorm($"input_layernorm and post_attention_layernorm exchanged in layer {index}", layer, layer.Weights.FeedForwardNorm);
        yield return OfNorm($"weights of input_layernorm of layer {index} taken as 1 + w", layer, layer.Tape.Shift(norm, 1));
    }

    static IEnumerable<LayerFault> OfSums(DecoderLayer layer)
    {
        yield return new("residual skipped: attention's output alone goes on", layer with { Sum = HalfSum.Nothing });
        yield return new("residual taken behind the norm of attention", layer with { Sum = HalfSum.Norm });
        yield return new("residual added twice to attention's output", layer with { Sum = HalfSum.InputTwice });
        if (layer.Form.ResidualFactor != 1)
            yield return OfLayer($"residual multiplier {Number(layer.Form.ResidualFactor)} forgotten", layer, layer.Form with { ResidualFactor = 1 });
        if (layer.Weights.Gemma is not { } gemma) yield break;
        var other = gemma with { AfterAttention = Ones(layer.Tape, gemma.AfterAttention) };
        yield return new("weights of the norm behind attention ignored", layer with { Weights = layer.Weights with { Gemma = other } });
    }

    /// <summary>The same layer on another batch: masks and positions that somebody took otherwise.</summary>
    public static IEnumerable<(string Sentence, HubInputs With)> OfInputs(DecoderLayer layer, HubInputs inputs)
    {
        var length = inputs.Length;
        if (inputs.Mask.Contains(0))
        {
            yield return ("padding mask ignored", inputs with { Mask = [] });
            yield return ("padding taken on the other side", inputs with { Mask = [.. inputs.Mask.Chunk(length).SelectMany(row => row.Reverse())] });
            int[] first = [.. Enumerable.Repeat(inputs.Mask[..length], inputs.Rows).SelectMany(m => m)];
            yield return ("the first row's mask taken for all", inputs with { Mask = first });
        }
        if (layer.Form.Attention.Rotary is null && layer.Form.Attention.Temperature is null) yield break;
        if (inputs.Positions.Length > 0) yield return ("positions counted in columns in place of those that were given", inputs with { Positions = [] });
        int[] counted = [.. Enumerable.Range(0, inputs.Ids.Length).Select(i =>
            Math.Max(0, Enumerable.Range(0, i % length + 1).Count(c => inputs.IsReal(i / length, c)) - 1))];
        yield return ("positions counted over the mask in place of columns", inputs with { Positions = counted });
        yield return ("positions all 0", inputs with { Positions = new int[inputs.Ids.Length] });
        int[] backwards = [.. Enumerable.Range(0, inputs.Ids.Length).Select(i => length - 1 - i % length)];
        yield return ("positions counted backwards", inputs with { Positions = backwards });
    }
}
