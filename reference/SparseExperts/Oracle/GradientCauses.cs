using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// From gradients that depart to the part of the backward pass that is wrong: gradients are a part through y and a part through the losses, so that each
/// can be left out or counted otherwise.
/// </summary>
static class GradientCauses
{
    public static IReadOnlyList<Cause> Find(Case held, Func<IBackend> backend)
    {
        if (held.Find("cotangent.y") is not { } y) return [];
        var bare = held.Without(held.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.loss.", StringComparison.Ordinal) || n == "claim.y"));
        var (effort, one) = (new Effort(CheckEffort.Diagnosis(held)), CheckEffort.Of(bare));
        List<Cause> found = [];
        foreach (var (cause, variant) in Variants(bare, y))
        {
            if (!effort.TrySpend(one)) break;
            if (Agree(Diagnosis.TryCheck(variant, backend))) found.Add(cause);
        }
        if (found.Count == 0 && Agree(Diagnosis.TryCheck(bare.WithConstantGates, backend)))
            found.Add(new("gates", "detached", "the gradient through the gates is missing: they were detached, so that the router learns nothing from the task"));
        return found;
    }

    static bool Agree(Verdict? verdict) => verdict is not null && verdict.Stages.Any(s => IsGradient(s.Stage)) && verdict.Stages.Where(s => IsGradient(s.Stage)).All(s => s.Outcome == Outcome.Agrees);

    static bool IsGradient(string stage) => stage.StartsWith("grad.", StringComparison.Ordinal);

    static IEnumerable<(Cause, Case)> Variants(Case c, CaseTensor y)
    {
        var weight = c.Find("cotangent.losses")?.Values[0] ?? 1;
        Case Losses(double factor) => c.With(new CaseTensor("cotangent.losses", "F32", [1], [factor * weight]));
        yield return (new("losses", "not attached", "the auxiliary loss is not in the gradient"), Losses(0));
        foreach (var factor in new double[] { 2, 4, 8, 16, 3, c.Dialect.K, 1.0 / c.Dialect.K, 0.5, 0.25, -1 }.Where(f => f != 1).Distinct())
            yield return (new("losses", $"times {Multiples.Text(factor)}", $"the auxiliary loss counts {Multiples.Text(factor)} times in the gradient"), Losses(factor));
        var nothing = y with { Values = new double[y.Values.Length] };
        yield return (new("y", "not in the gradient", "the gradient has the auxiliary losses alone: the part through y is missing"), c.With(nothing));
    }
}
