using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>A layer that computes with matrices of another one, all of them or a part: what a loader does that counts layers otherwise.</summary>
/// <param name="layer">The one that is looked at.</param>
sealed class OtherLayers(HubModel model, int layer)
{
    readonly DecoderLayer _own = model.Layers[layer];

    IEnumerable<int> Others => Enumerable.Range(0, model.Layers.Count).Where(i => i != layer);

    LayerFault With(int other, string what, LayerWeights weights) => new($"layer {other}'s {what} in layer {layer}", _own with { Weights = weights });

    public IEnumerable<LayerFault> All() => Others.Where(i => model.Layers[i].Form == _own.Form).Select(i => With(i, "matrices", model.Layers[i].Weights));

    public IEnumerable<LayerFault> OfAttention()
    {
        var own = _own.Weights;
        foreach (var i in Others)
        {
            var other = model.Layers[i].Weights;
            var (mine, its) = (own.Attention, other.Attention);
            LayerFault Attending(string what, AttentionWeights weights) => With(i, what, own with { Attention = weights });
            yield return Attending("attention", its);
            yield return Attending("o_proj", mine with { Output = its.Output });
            yield return Attending("queries", mine with { Query = its.Query, QueryDown = its.QueryDown, QueryDownNorm = its.QueryDownNorm });
            if (mine.QueryDown is not null)
            {
                yield return Attending("q_a_proj", mine with { QueryDown = its.QueryDown });
                yield return Attending("q_b_proj", mine with { Query = its.Query });
            }
            yield return Attending("keys", mine with { Key = its.Key, KeyDownNorm = its.KeyDownNorm });
            yield return Attending("values", mine with { Value = its.Value });
            if (mine.Sinks is not null) yield return Attending("sinks", mine with { Sinks = its.Sinks });
            yield return With(i, "input_layernorm", own with { AttentionNorm = other.AttentionNorm });
        }
    }

    public IEnumerable<LayerFault> OfFeedForward()
    {
        var own = _own.Weights;
        foreach (var i in Others)
        {
            var other = model.Layers[i].Weights;
            if (own.Dense is not null && other.Dense is not null) yield return With(i, "dense feed-forward layer", own with { Dense = other.Dense });
            yield return With(i, "norm of the feed-forward layer", own with { FeedForwardNorm = other.FeedForwardNorm });
            if (own.Experts is not { } mine || other.Experts is not { } its) continue;
            LayerFault Routing(string what, HubExperts experts) => With(i, what, own with { Experts = experts });
            yield return Routing("router and experts", its);
            yield return Routing("experts", mine.With(experts: its.Experts));
            yield return Routing("router", mine.With(router: its.Router));
            if (mine.Experts is not { SharedWi: not null } experts) continue;
            var (shared, theirs) = (experts, its.Experts);
            yield return Routing("shared expert", mine.With(experts: shared with
            {
                SharedWi = theirs.SharedWi,
                SharedWiGate = theirs.SharedWiGate,
                SharedWo = theirs.SharedWo,
                SharedGate = theirs.SharedGate,
            }));
            yield return Routing("shared expert without its gate", mine.With(experts: shared with
            {
                SharedWi = theirs.SharedWi,
                SharedWiGate = theirs.SharedWiGate,
                SharedWo = theirs.SharedWo,
            }));
            yield return Routing("routed experts", mine.With(experts: theirs with
            {
                SharedWi = shared.SharedWi,
                SharedWiGate = shared.SharedWiGate,
                SharedWo = shared.SharedWo,
                SharedGate = shared.SharedGate,
            }));
        }
    }
}
