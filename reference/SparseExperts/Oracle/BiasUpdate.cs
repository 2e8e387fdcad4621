using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// The correction bias after one update from the choices of all groups of a case together, and of the micro-batches before it where the file counts
/// them. Padding is left out, unless the dialect counts it; what was dropped is not counted. Who claims an update has made one, whatever the mode of the call.
/// </summary>
static class BiasUpdate
{
    const string Before = "router.correction_bias", Earlier = "router.previous_count";

    /// <summary>Whether a step of training moves the bias.</summary>
    public static bool Moves(Dialect d) => d.CorrectionBias && (d.BiasRate != 0 || d.Selection == Selection.Quantile);

    /// <summary>Refuses counts of earlier micro-batches that nobody reads.</summary>
    public static void Check(Case c, Dialect d)
    {
        if (!c.Has(Earlier) || d.CountsElsewhere) return;
        if (!Moves(d) || d.Selection == Selection.Quantile)
            throw new CaseException(
                $"{c.Path}: {Earlier} is given, but in {d.Name} no bias is stepped by counts and no loss reads those of other batches; remove it");
        if (!c.Has(Before)) throw new CaseException($"{c.Path}: {Earlier} without {Before}; give both");
    }

    /// <summary>Tokens of every expert [E] that the step is decided by.</summary>
    public static double[] Counts(Case c, RouterCall call, RoutingPlan plan)
    {
        var counts = CorrectionBias.Counts(call.Dialect, plan, call.IsReal, call.Dialect.BiasOfImages ? t => !call.IsImage(t) : null);
        // A loss that reads them has counted otherwise: a top-k of its own, before dropping.
        if (c.Find(Earlier) is not { } earlier || call.Dialect.CountsElsewhere) return counts;
        return [.. counts.Zip(earlier.Values, (own, before) => own + before)];
    }

    /// <summary>The updated bias [E]; errors bound what the library's float32 loses on the way.</summary>
    /// <param name="logits">[T, E].</param>
    public static Numbers After(Case c, RouterCall call, RoutingPlan plan, Numbers logits)
    {
        var (d, before) = (call.Dialect, c.Get(Before).Values);
        if (!Moves(d)) return new(before);
        if (d.Selection == Selection.Quantile) return Quantile.BetaWithErrors(call, logits, before);
        var after = CorrectionBias.Step(d, Counts(c, call, plan), before);
        // The step, its mean over the experts, their difference, the sum.
        return new(after, [.. before.Select(b => 4 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(b) + 2 * d.BiasRate))]);
    }
}
