namespace SparseExperts.Routing;

/// <summary>Every expert whose score is positive: as many as it happens to be (ReMoE, Wang et al. 2024, section 3).</summary>
static class PositiveScores
{
    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        var experts = call.Experts;
        var expert = new int[call.Tokens * experts];
        for (var i = 0; i < expert.Length; i++) expert[i] = numbers.Scores.Values[i] > 0 ? i % experts : -1;
        return new() { K = experts, Candidate = (int[])expert.Clone(), Expert = expert, Rankings = [Ranking.Of(numbers.Scores, experts)] };
    }
}
