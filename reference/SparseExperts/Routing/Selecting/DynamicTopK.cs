namespace SparseExperts.Routing;

/// <summary>
/// Dense to sparse: while training k grows to the mean number of experts whose Gumbel-softmax score exceeds 0.001; in evaluation plain top-k
/// (Nie et al. 2021; FastMoE CustomDTSGate).
/// </summary>
static class DynamicTopK
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var k = call.K;
        if (call.Training) k = Math.Clamp(numbers.Scores.Values.Count(q => q > 0.001) / Math.Max(1, call.Tokens), k, call.Experts);
        return TopK.Select(call with { Dialect = call.Dialect with { K = k } }, numbers);
    }
}
