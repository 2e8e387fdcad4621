namespace SparseExperts.Routing;

/// <summary>
/// Appendix F of Shazeer et al. 2017: while training each expert takes its m = k·T/E best tokens of the batch; in evaluation, without a
/// batch to look at, all tokens whose score exceeds the expert's learned threshold.
/// </summary>
static class Batchwise
{
    public static Choices Select(RouterCall call, RouterNumbers numbers, Func<int> capacity)
    {
        if (call.Training) return ExpertChoice.Select(call, numbers, capacity());
        if (numbers.Thresholds.Length != call.Experts)
        {
            var remedy = $"give router.thresholds [{call.Experts}]";
            throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs a threshold for every expert in evaluation; {remedy}");
        }
        var expert = new int[numbers.Scores.Values.Length];
        for (var i = 0; i < expert.Length; i++) expert[i] = numbers.Scores.Values[i] > numbers.Thresholds[i % call.Experts] ? i % call.Experts : -1;
        return new() { K = call.Experts, Candidate = (int[])expert.Clone(), Expert = expert };
    }
}
