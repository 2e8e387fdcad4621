using SparseExperts.Conformance;
using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Scores at the edges, for every dialect that they decide in: NaN, infinities, all equal, all negative, few and many experts.</summary>
public sealed class EdgeScoreTests
{
    static IEnumerable<Dialect> All => BuiltIn.All.Where(DialectLaws.HasPlan);

    /// <summary>Dialects in which each token takes its best experts and nothing is drawn.</summary>
    static IEnumerable<Dialect> BestFirst =>
        All.Where(d => d is { Selection: Selection.TopK, Groups: 1, ForceBalance: false } && !d.IsRandom(true));

    static RoutingPlan Plan(Dialect dialect, int experts, float[] scores)
    {
        var call = DialectLaws.Call(dialect, new(experts, 1, 3, scores, [], 0));
        return RouterFromScores.Plan(call with { Where = "blocks.1" }, scores);
    }

    /// <summary>Numbers that differ, in no order.</summary>
    static float[] Distinct(int count) => [.. Enumerable.Range(0, count).Select(i => (i * 37 % (count + 1) + 1) / (count + 2f))];

    [Fact]
    public void NaN_scores_name_layer_token_and_expert()
    {
        var scores = Distinct(64);
        scores[10] = float.NaN;
        var refused = All.Where(d => d.Selection != Selection.Auction).ToArray();
        Assert.InRange(refused.Length, 120, BuiltIn.All.Count);
        string Message(Dialect d) => Assert.Throws<RoutingException>(() => Plan(d, 8, scores)).Message;
        Assert.All(refused, d => Assert.Contains("blocks.1: router score of token 1 for expert 2 is NaN", Message(d)));
    }

    [Fact]
    public void Minus_infinity_is_nobodys_choice_and_infinity_is_the_first()
    {
        float[] low = Distinct(64), high = Distinct(64);
        (low[10], high[10]) = (float.NegativeInfinity, float.PositiveInfinity);
        Assert.InRange(BestFirst.Count(), 20, 98);
        Assert.All(BestFirst, d => Assert.DoesNotContain(2, Of(Plan(d, 8, low), 1)));
        Assert.All(BestFirst, d => Assert.Equal(2, Of(Plan(d, 8, high), 1)[0]));
    }

    static int[] Of(RoutingPlan plan, int token) => plan.Expert.AsSpan(token * plan.Choices, plan.Choices).ToArray();

    [Fact]
    public void All_negative_scores_choose_the_least_negative()
    {
        float[] scores = [.. Distinct(64).Select(s => s - 2)];
        Assert.All(BestFirst.Where(d => d.Taken == Taken.Removed), d =>
        {
            var plan = Plan(d, 8, scores);
            for (var t = 0; t < 8; t++) Assert.Equal(scores.AsSpan(t * 8, 8).IndexOf(scores.AsSpan(t * 8, 8).ToArray().Max()), Of(plan, t)[0]);
        });
    }

    public static TheoryData<int> ExpertCounts() => [2, 3, 33, 255, 256, 257, 512];

    /// <summary>Each token's best expert is found wherever it stands, whatever the vector width leaves over.</summary>
    [Theory, MemberData(nameof(ExpertCounts))]
    public void The_best_of_many_experts_is_found(int experts)
    {
        var scores = new float[experts * experts];
        for (var i = 0; i < scores.Length; i++) scores[i] = i / experts == i % experts ? 0.9f : 0.1f;
        var able = BestFirst.Where(d => d.K <= experts).ToArray();
        Assert.NotEmpty(able);
        Assert.All(able, d =>
        {
            var plan = Plan(d, experts, scores);
            for (var t = 0; t < experts; t++) Assert.Equal(t, Of(plan, t)[0]);
        });
    }

    [Theory, MemberData(nameof(ExpertCounts))]
    public void Among_equals_the_lowest_is_taken_where_the_dialect_says_so(int experts)
    {
        float[] equal = [.. Enumerable.Repeat(0.5f, 3 * experts)];
        foreach (var dialect in BestFirst.Where(d => d.Ties == TieRule.Lowest && d.K <= experts))
            for (var t = 0; t < 3; t++) Assert.Equal(0, Of(Plan(dialect, experts, equal), t)[0]);
    }
}
