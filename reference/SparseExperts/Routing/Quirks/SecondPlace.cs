using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing.Quirks;

/// <summary>
/// With some probability a token's best logit loses 10⁹, so that its second best wins; with a temperature one of the others is sampled
/// and all the rest lose 10⁹ too (Mesh-TensorFlow moe.py, use_second_place_expert_prob).
/// </summary>
static class SecondPlace
{
    public static Tensor KnockOut(Tape tape, RouterCall call, Tensor logits)
    {
        var d = call.Dialect;
        if (!call.Training || d.SecondPlaceProbability <= 0) return logits;
        var chance = RouterLogits.Drawn(call, call.Draws.SecondPlace, "second_place", call.Tokens);
        var values = new double[logits.Value.Count];
        tape.ReadForPlan(logits.Value, values);
        var shift = new float[values.Length];
        var nobody = new bool[call.Experts];
        for (var t = 0; t < call.Tokens; t++)
        {
            if (chance[t] >= d.SecondPlaceProbability) continue;
            var row = values.AsSpan(t * call.Experts, call.Experts);
            var best = Ranking.Best(row, nobody, d.Ties);
            shift[t * call.Experts + best] = RouterLogits.Lowered;
            if (d.SecondPlaceTemperature <= 0) continue;
            var sample = RouterLogits.Drawn(call, call.Draws.SecondPlaceSample, "second_place_sample", values.Length);
            var disturbed = new double[call.Experts];
            for (var e = 0; e < call.Experts; e++)
            {
                var gumbel = -ReproducibleMath.Log(-ReproducibleMath.Log(Math.Max(1e-9, sample[t * call.Experts + e])));
                disturbed[e] = row[e] + shift[t * call.Experts + e] + d.SecondPlaceTemperature * gumbel;
            }
            var chosen = Ranking.Best(disturbed, nobody, d.Ties);
            for (var e = 0; e < call.Experts; e++)
                if (e != chosen) shift[t * call.Experts + e] += RouterLogits.Lowered;
        }
        return tape.Shift(logits, shift);
    }
}
