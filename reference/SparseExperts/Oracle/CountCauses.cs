using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Whole numbers that are counted or computed: the capacity of an expert, and its tokens.</summary>
static class CountCauses
{
    public static FoundCauses OfCapacity(Case held, Departure of, Func<IBackend> backend) => Stage.On(held.Without("claim.capacity"), backend, call =>
    {
        var (c, d) = (call.Call, call.Call.Dialect);
        FaultyNumbers New(string value, string sentence, Func<RouterCall> make) => new(new("capacity", value, sentence), () =>
        {
            var other = make();
            return [CapacityRule.Reported(other, CapacityRule.Loads(call.Call, call.Choices, call.Decided.Numbers))];
        });
        FaultyNumbers By(string value, string sentence, Func<int, int> change) =>
            new(new("capacity", value, sentence), () => [change((int)of.Expected[0])]);
        List<FaultyNumbers> faults =
        [
            By("one too many", "the capacity is one too large", n => n + 1),
            By("one too few", "the capacity is one too small", n => n - 1),
            New("of all groups", "groups are pooled: the capacity is made from all tokens of the call", () => c with { Groups = 1, Size = c.Tokens }),
            New("of the real tokens", "padding is left out of the tokens that the capacity is made from", () => c with { Size = c.RealIn(0) }),
            New("of one choice", "the number of choices is not in the capacity", () => c with { Dialect = d with { K = 1 } }),
            New("without its minimum", "the smallest capacity is not held", () => c with { Dialect = d with { MinCapacity = 0 } }),
            New("of the other mode", "the capacity factor is that of the other mode", () => c with { Dialect = held.Dialect.For(!c.Training) }),
            By("times k", "the capacity is multiplied by the number of choices", n => n * d.K),
            By("over k", "the capacity is divided by the number of choices", n => n / Math.Max(1, d.K)),
            By("times E", "the capacity is that of all experts together", n => n * c.Experts),
        ];
        return FoundCauses.Among(of, faults);
    });

    public static FoundCauses OfTokens(Case held, Departure of, Func<IBackend> backend) => Stage.On(held.Without("claim.count"), backend, call =>
    {
        var (c, plan, k) = (call.Call, call.Routed.Effective.Plan, call.Choices.K);
        int[] Counted(Func<int, bool> counts, int[] expert, Func<int, int>? group = null)
        {
            var result = new int[of.Claimed.Length];
            for (var i = 0; i < expert.Length; i++)
                if (expert[i] >= 0 && counts(i)) result[(group?.Invoke(i) ?? i / plan.Choices / c.Size) * c.Experts + expert[i]]++;
            return result;
        }
        FaultyNumbers New(string value, string sentence, Func<int[]?> compute) => new(new("count", value, sentence), compute);
        List<FaultyNumbers> faults =
        [
            New("of the kept", "tokens are counted after dropping", () => Counted(i => plan.RowOf[i] >= 0, plan.Expert)),
            New("of the asked", "tokens are counted before dropping", () => Counted(_ => true, call.Choices.Expert)),
            New("of real tokens", "padding is left out of the counts", () => Counted(i => c.IsReal(i / plan.Choices), call.Choices.Expert)),
            New("of real tokens that are kept", "padding is left out of the counts, which are taken after dropping",
                () => Counted(i => c.IsReal(i / plan.Choices) && plan.RowOf[i] >= 0, plan.Expert)),
            New("with padding", "padding is counted too", () => Counted(_ => true, call.Choices.Candidate)),
            New("of first choices", "first choices alone are counted", () => Counted(i => i % k == 0, call.Choices.Expert)),
        ];
        faults.Add(New("of first choices of real tokens", "first choices of real tokens alone are counted",
            () => Counted(i => i % k == 0 && c.IsReal(i / plan.Choices), call.Choices.Candidate)));
        foreach (var factor in new[] { 2, k, 4, 8 }.Where(f => f > 1).Distinct())
            faults.Add(New($"times {factor}", $"every token is counted {factor} times", () => [.. of.Expected.Select(n => factor * (int)n)]));
        faults.Add(New("one more", "every expert has one token more than it should", () => [.. of.Expected.Select(n => (int)n + 1)]));
        if (c.Groups > 1)
            faults.Add(New("of all groups", "groups are pooled: every row has the counts of all groups, or the first one has", () =>
            {
                var pooled = Counted(_ => true, call.Choices.Expert, _ => 0)[..c.Experts];
                return [.. Enumerable.Range(0, of.Claimed.Length).Select(i => pooled[i % c.Experts])];
            }));
        foreach (var (value, words, from) in ExpertOrders.Of(c.Experts))
            faults.Add(New(value, words,
                () => [.. Enumerable.Range(0, of.Expected.Length).Select(i => (int)of.Expected[i / c.Experts * c.Experts + from(i % c.Experts)])]));
        return FoundCauses.Among(of, faults);
    });
}
