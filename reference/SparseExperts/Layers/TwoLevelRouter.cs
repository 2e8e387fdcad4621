using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>
/// Two levels of noisy top-k (Shazeer et al. 2017, appendix B; Tensor2Tensor 3d9c62f2, DistributedMixtureOfExperts): a token enters
/// <c>groups_kept</c> groups of experts and <c>k</c> experts in each; its gates are products. E = groups·n, expert id = group·n + expert.
/// </summary>
static class TwoLevelRouter
{
    /// <param name="Input">Tokens as the router sees them [T, M].</param>
    public sealed record Result(Tensor Input, Tensor Gates, RoutingPlan Plan, IReadOnlyList<LossTerm> Losses);

    /// <summary>Dispatch, experts and combine [T, M].</summary>
    /// <param name="own">What the experts read where it is not the tokens, or null.</param>
    public static Tensor Output(Tape tape, RouterCall call, Result routed, Tensor x, Tensor? own, ExpertWeights experts, double dropout = 0,
        LayerStreams streams = default) =>
        Experts.Apply(tape, call, own ?? RoutedLayer.ExpertInput(call, x, routed.Input), experts, routed.Gates, routed.Plan, dropout, streams);

    /// <remarks>
    /// importance = Σ gates; load_(i, j) = secondary load_(i, j)·smooth primary load_i / (tokens in group i + 10⁻¹⁰), secondary loads over the
    /// tokens that enter group i.
    /// </remarks>
    public static Result Route(Tape tape, RouterCall call, Tensor x, RouterWeights w)
    {
        using var place = tape.Within("router");
        using var exact = tape.Exactly();
        var (d, input) = (call.Dialect, RouterLogits.Input(tape, call, x));
        int tokens = call.Tokens, groups = d.Groups, inside = call.Experts / groups;
        var outer = RouterLogits.Needed(call, w.PrimaryWeight, "router.primary.weight");
        var inner = RouterLogits.Needed(call, w.SecondaryWeight, "router.secondary.weight");
        var primary = Level(tape, call, input, outer, w.PrimaryNoiseWeight, call.Draws.PrimaryNoise, groups);
        var secondary = Level(tape, call, input, inner, w.SecondaryNoiseWeight, call.Draws.SecondaryNoise, call.Experts);

        // Secondary logits as one row for every (token, group).
        Tensor Split(Tensor x) => tape.Reshape(x, tokens * groups, inside);
        var (clean, noisy, deviation) = (Split(secondary.Clean), Split(secondary.Noisy), secondary.Deviation is { } s ? Split(s) : null);
        Numbers primaryNoisy = HostNumbers.Of(tape, primary.Noisy), secondaryNoisy = HostNumbers.Of(tape, noisy);
        int keep = d.GroupsKept, k = d.K, choices = keep * k;
        int[] group = Top(primaryNoisy, groups, keep), expert = Top(secondaryNoisy, inside, k);

        int[] global = new int[tokens * choices], primaryOf = new int[tokens * choices], secondaryOf = new int[tokens * choices];
        for (var t = 0; t < tokens; t++)
            for (var i = 0; i < keep; i++)
                for (var j = 0; j < k; j++)
                {
                    int g = group[t * keep + i], row = t * groups + g, at = t * choices + i * k + j;
                    global[at] = g * inside + expert[row * k + j];
                    primaryOf[at] = t * keep + i;
                    secondaryOf[at] = row * k + j;
                }
        var primaryGates = Chosen(tape, primary.Noisy, group, keep);                                   // [T, keep]
        var secondaryGates = Chosen(tape, noisy, expert, k);                                            // [T·groups, k]
        var gates = tape.Multiply(
            tape.GatherElements(primaryGates, primaryOf, tokens, choices),
            tape.GatherElements(secondaryGates, secondaryOf, tokens, choices));
        var plan = new RoutingPlan(call.Experts, 1, choices, RoutingPlan.Unlimited, global, Arrival(global, call.Experts));

        // Losses over all experts as one vector.
        var importance = tape.SumColumns(Gates.Dense(tape, gates, global, call.Experts), 1);
        var entered = new double[groups];
        var member = new float[tokens * groups];
        for (var i = 0; i < group.Length; i++)
        {
            entered[group[i]]++;
            member[i / keep * groups + group[i]] = 1;
        }
        RouterNumbers Of(Tensor cleanLogits, Numbers noisyNumbers) =>
            new() { Logits = HostNumbers.Of(tape, cleanLogits), Noisy = noisyNumbers, Scores = noisyNumbers };
        var smooth = tape.SumColumns(keep < groups
            ? LoadLosses.Smooth(tape, call, primary.Clean, primary.Noisy, primary.Deviation, Of(primary.Clean, primaryNoisy), keep)
            : tape.PlanConstant(tokens, groups, member), 1);                                                // [1, groups]
        var local = k < inside
            ? LoadLosses.Smooth(tape, call, clean, noisy, deviation, Of(clean, secondaryNoisy), k)
            : Counts(tape, expert, tokens * groups, inside, k);
        var inGroup = tape.ScaleRows(local, tape.PlanConstant(tokens * groups, 1, member));
        var load = tape.SumColumns(tape.Reshape(inGroup, tokens, call.Experts), 1);                      // [1, E]
        var share = new float[groups * call.Experts];
        for (var e = 0; e < call.Experts; e++) share[e / inside * call.Experts + e] = (float)(1 / (entered[e / inside] + 1e-10));
        load = tape.Multiply(load, tape.Linear(smooth, tape.PlanConstant(groups, call.Experts, share)));
        return new(input, gates, plan,
        [
            new("importance", Variation.OfRows(tape, importance, d.Variance, d.VarianceEpsilon), d.ImportanceCoefficient),
            new("load", Variation.OfRows(tape, load, d.Variance, d.VarianceEpsilon), d.LoadCoefficient),
        ]);
    }

    sealed record Logits(Tensor Clean, Tensor Noisy, Tensor? Deviation);

    static Logits Level(Tape tape, RouterCall call, Tensor input, Tensor weight, Tensor? noiseWeight, float[]? noise, int columns)
    {
        var clean = tape.Linear(input, weight);
        if (!call.IsNoisy || noiseWeight is null) return new(clean, clean, null);
        var deviation = RouterScores.Deviation(tape, call, input, noiseWeight);
        var drawn = RouterLogits.Drawn(call, noise, columns == call.Experts ? "secondary_noise" : "primary_noise", clean.Value.Count);
        return new(clean, tape.Add(clean, tape.Multiply(deviation, tape.PlanConstant(clean.Rows, columns, drawn))), deviation);
    }

    static int[] Top(Numbers numbers, int columns, int k)
    {
        var ranking = Ranking.Of(numbers, columns);
        return [.. Enumerable.Range(0, ranking.Rows).SelectMany(r => Ranking.Top(ranking.Row(r), k, TieRule.Lowest))];
    }

    /// <summary>Softmax over the chosen logits of each row [rows, k].</summary>
    static Tensor Chosen(Tape tape, Tensor logits, int[] chosen, int k)
    {
        int[] ids = [.. chosen.Select((e, i) => i / k * logits.Columns + e)];
        return tape.Softmax(tape.GatherElements(logits, ids, logits.Rows, k));
    }

    static Tensor Counts(Tape tape, int[] expert, int rows, int columns, int k)
    {
        var counts = new float[rows * columns];
        for (var i = 0; i < expert.Length; i++) counts[i / k * columns + expert[i]] = 1;
        return tape.PlanConstant(rows, columns, counts);
    }

    static int[] Arrival(int[] expert, int experts)
    {
        var asked = new int[experts];
        return [.. expert.Select(e => asked[e]++)];
    }
}
