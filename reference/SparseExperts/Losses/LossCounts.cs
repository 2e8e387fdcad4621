using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>f's numerators: which choices a product loss counts. They are constants of the loss.</summary>
static class LossCounts
{
    /// <summary>Choices of every part and expert [P, E].</summary>
    public static double[] Of(RouterCall call, LossInputs inputs, LossParts parts)
    {
        var counts = new double[parts.Count * call.Experts];
        foreach (var (token, expert, weight) in Counted(call, inputs)) counts[parts.Of(token) * call.Experts + expert] += weight;
        return counts;
    }

    static IEnumerable<(int Token, int Expert, double Weight)> Counted(RouterCall call, LossInputs inputs) => call.Dialect.BalanceCount switch
    {
        BalanceCount.FreshTopK => (inputs.FreshTopK ?? FreshTopK(call, inputs)).Select(c => (c.Token, c.Expert, 1.0)),
        BalanceCount.KeptFirst or BalanceCount.KeptShare or BalanceCount.DroppedAsFirstExpert => Kept(call, inputs.Plan),
        BalanceCount.FirstChoice or BalanceCount.AllChoices or BalanceCount.Candidates => Chosen(call, inputs.Choices),
        var other => throw new RoutingException($"{call.Where}: unknown balance count {other}"),
    };

    /// <summary>Choices with a slot.</summary>
    static IEnumerable<(int Token, int Expert, double Weight)> Kept(RouterCall call, RoutingPlan plan)
    {
        var d = call.Dialect;
        for (var t = 0; t < call.Tokens; t++)
            for (var j = 0; j < (d.BalanceCount == BalanceCount.KeptShare ? plan.Choices : 1); j++)
            {
                var i = t * plan.Choices + j;
                if (plan.RowOf[i] >= 0) yield return (t, plan.Expert[i], 1);
                else if (d.BalanceCount == BalanceCount.DroppedAsFirstExpert) yield return (t, 0, 1);
            }
    }

    /// <summary>Choices before anybody is dropped.</summary>
    static IEnumerable<(int Token, int Expert, double Weight)> Chosen(RouterCall call, Choices choices)
    {
        var count = call.Dialect.BalanceCount;
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!Includes(call, t)) continue;
            for (var j = 0; j < (count == BalanceCount.FirstChoice ? 1 : choices.K); j++)
            {
                var i = t * choices.K + j;
                var e = count == BalanceCount.AllChoices && !(choices.Expert[i] >= 0) ? -1 : choices.Candidate[i];
                if (e >= 0) yield return (t, e, count == BalanceCount.Candidates ? 1.0 / choices.K : 1);
            }
        }
    }

    /// <summary>
    /// Choices of every group and expert [G·E] as the backend counted them, in the order of a plan or of a top-k of the loss's own; null where the host
    /// counts.
    /// </summary>
    public static Indices? OnBackend(Tape tape, RouterCall call, LossInputs inputs) => call.Dialect.BalanceCount switch
    {
        BalanceCount.FreshTopK when inputs.FreshTopK is null =>
            BackendPlanning.FreshTopK(tape, call, RanksScores(call.Dialect) ? inputs.Scores : inputs.Logits),
        BalanceCount.FirstChoice when inputs.Handle.OnBackend is { } made => BackendPlanning.FirstOf(made.Asked),
        BalanceCount.AllChoices or BalanceCount.Candidates when inputs.Handle.OnBackend is { } made => BackendPlanning.AllOf(made.Asked),
        _ => null,
    };

    /// <summary>Whether a top-k of the loss's own is over scores, else over logits.</summary>
    static bool RanksScores(Dialect d) => d.BalanceMass == BalanceMass.Distribution && d.Score is not (Score.Softmax or Score.SoftmaxPost);

    /// <summary>A top-k of its own, over clean numbers.</summary>
    static IEnumerable<(int Token, int Expert)> FreshTopK(RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        var ranking = Ranking.Of(RanksScores(d) ? inputs.Numbers.Scores : inputs.Numbers.Logits, call.Experts);
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!Includes(call, t)) continue;
            foreach (var e in Ranking.Top(ranking.Row(t), d.K, d.Ties)) yield return (t, e);
        }
    }

    /// <summary>Whether a token counts in f.</summary>
    public static bool Includes(RouterCall call, int t) =>
        call.IsReal(t) || call.Dialect.BalanceTokens is BalanceTokens.All or BalanceTokens.ScaledByRealShare or BalanceTokens.RealMassOverAll;
}
