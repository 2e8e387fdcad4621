using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>A plan from given scores alone, without a tape: for laws, worked examples and replays.</summary>
public static class RouterFromScores
{
    /// <param name="scores">[T, E]; they stand for logits and scores alike, and for the gates that a drop by score ranks.</param>
    public static RoutingPlan Plan(RouterCall call, ReadOnlySpan<float> scores) => Plan(call, scores, scores);

    /// <param name="logits">[T, E], for dialects that rank by logits.</param>
    public static RoutingPlan Plan(RouterCall call, ReadOnlySpan<float> logits, ReadOnlySpan<float> scores) => Plan(call, logits, scores, out _);

    public static RoutingPlan Plan(RouterCall call, ReadOnlySpan<float> logits, ReadOnlySpan<float> scores, out Choices choices)
    {
        var clean = new Numbers(Doubles(logits));
        var numbers = new RouterNumbers { Logits = clean, Noisy = clean, Scores = new(Doubles(scores)) };
        (choices, var capacity) = RoutedLayer.Choose(call, numbers, Substitution.None);
        var gates = new double[choices.Candidate.Length];
        for (var i = 0; i < gates.Length; i++) gates[i] = choices.Candidate[i] < 0 ? 0 : numbers.Scores[i / choices.K, choices.Candidate[i], call.Experts];
        return RoutedLayer.Assign(call, new(numbers, choices, capacity, new(gates)));
    }

    static double[] Doubles(ReadOnlySpan<float> values)
    {
        var doubles = new double[values.Length];
        for (var i = 0; i < doubles.Length; i++) doubles[i] = values[i];
        return doubles;
    }
}
