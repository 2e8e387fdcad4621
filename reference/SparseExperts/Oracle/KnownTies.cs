using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Which ranked numbers are equal as facts. A score that had to be recomputed is known to within an error only, but every library makes equal scores of
/// equal logits, exactly: there the tie rule decides, whatever the error.
/// </summary>
static class KnownTies
{
    /// <summary>Whether two experts tie for a token: the same logit as a fact, the same bias, the same draws.</summary>
    /// <param name="ranking">What the choice is decided by.</param>
    public static bool OfExperts(RouterCall call, RouterNumbers numbers, Ranking ranking, int token, int a, int b)
    {
        int i = token * call.Experts + a, j = token * call.Experts + b;
        if (ranking.Values[i] != ranking.Values[j]) return false;
        if (ranking.Errors[i] == 0 && ranking.Errors[j] == 0) return true;
        // What Sinkhorn's iterations rank depends on whole columns.
        if (call.Dialect.Selection == Selection.Sinkhorn && call.Training) return false;
        var bias = numbers.BiasOf(call, token);
        var hasSameBias = bias.Length == 0 || bias[a] == bias[b];
        return hasSameBias && IsSameFact(numbers.Noisy, i, j) && IsSameFact(numbers.Logits, i, j) && HasSameDraws(call, i, j);
    }

    /// <summary>
    /// Whether two tokens of a group tie for an expert that chooses: the same logit where scores are made one by one or along the tokens, the same row
    /// where they are made along the experts.
    /// </summary>
    /// <param name="columns">[G·E, S].</param>
    public static bool OfTokens(RouterCall call, RouterNumbers numbers, Ranking columns, int row, int a, int b)
    {
        if (columns.Row(row)[a] != columns.Row(row)[b]) return false;
        if (columns.Error(row, a) == 0 && columns.Error(row, b) == 0) return true;
        int first = row / call.Experts * call.Size, expert = row % call.Experts;
        return call.Dialect.Score is Score.Softmax or Score.SoftmaxPerPrototype
            ? HasSameRow(call, numbers, first + a, first + b)
            : IsSameFact(numbers.Noisy, (first + a) * call.Experts + expert, (first + b) * call.Experts + expert);
    }

    /// <summary>Whether two tokens have the same logits, number by number and as facts, so that their best scores are equal.</summary>
    public static bool HasSameRow(RouterCall call, RouterNumbers numbers, int a, int b)
    {
        for (var e = 0; e < call.Experts; e++)
            if (!IsSameFact(numbers.Noisy, a * call.Experts + e, b * call.Experts + e)) return false;
        return true;
    }

    static bool IsSameFact(Numbers numbers, int i, int j) => numbers.Values[i] == numbers.Values[j] && numbers.Errors[i] == 0 && numbers.Errors[j] == 0;

    static bool HasSameDraws(RouterCall call, int i, int j)
    {
        foreach (var draws in (float[]?[])[call.Draws.Sample, call.Draws.Gumbel, call.Draws.UniformGumbel])
            if (draws is not null && draws[i] != draws[j]) return false;
        return true;
    }
}
