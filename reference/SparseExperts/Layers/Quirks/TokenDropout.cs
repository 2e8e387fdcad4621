using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers.Quirks;

/// <summary>Ordinary dropout of the experts' outputs while training; evaluation multiplies by 1 − rate on top (transformers modeling_nllb_moe.py).</summary>
static class TokenDropout
{
    public static Tensor Apply(Tape tape, RouterCall call, Tensor outputs, LayerStreams streams, PlanIndices indices)
    {
        var rate = call.Dialect.TokenDropout;
        if (rate == 0 || call.Dialect.Combination == Combination.MaskReadAsIndices && !call.Training) return outputs;
        return call.Training ? tape.Dropout(outputs, rate, streams[RandomUse.TokenDropout], indices) : tape.Scale(outputs, 1 - rate);
    }
}
