namespace SparseExperts.Routing;

/// <summary>
/// Tokens choose one expert each; places go in token order (Fedus et al. 2022, section 2.1; Mesh-TensorFlow moe.py, _switch_gating).
/// </summary>
public static class TopOne
{
    /// <summary>
    /// Selection: the largest score, the lowest expert among equals. Priority: token order within the group. A token without a place is
    /// dropped; padding (importance 0) makes no choice and takes no place.
    /// </summary>
    /// <param name="scores">Router probabilities or logits [T, E].</param>
    /// <param name="importance">One number a token, 0 for padding; empty means that there is none.</param>
    /// <param name="where">Names the layer in error messages.</param>
    public static RoutingPlan Plan(ReadOnlySpan<float> scores, int experts, int groups, int capacity, ReadOnlySpan<float> importance, string where)
    {
        int tokens = scores.Length / experts, perGroup = tokens / groups;
        int[] expert = new int[tokens], slot = new int[tokens], taken = new int[experts];
        for (var t = 0; t < tokens; t++)
        {
            if (t % perGroup == 0) Array.Clear(taken);
            var best = Best(scores.Slice(t * experts, experts), t, where);
            var padding = importance.Length > 0 && importance[t] == 0;
            expert[t] = padding ? -1 : best;
            slot[t] = !padding && taken[best] < capacity ? taken[best]++ : RoutingPlan.Dropped;
        }
        return new(experts, groups, 1, capacity, expert, slot);
    }

    /// <summary>Index of the largest score, the first among equals; NaN is an error that names token and layer.</summary>
    public static int Best(ReadOnlySpan<float> scores, int token, string where)
    {
        var best = 0;
        for (var e = 0; e < scores.Length; e++)
        {
            if (float.IsNaN(scores[e])) throw new RoutingException($"{where}: router score of token {token} for expert {e} is NaN; look for overflow in the layers below or lower the learning rate");
            if (scores[e] > scores[best]) best = e;
        }
        return best;
    }
}

/// <summary>Scores that no plan can be made from.</summary>
public sealed class RoutingException(string message) : Exception(message);
