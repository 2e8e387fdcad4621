namespace SparseExperts.Oracle;

/// <summary>
/// From gradients that depart to the part of the backward pass that is wrong: gradients are a part through y and a part through the losses, so that each
/// can be left out or counted otherwise.
/// </summary>
static class GradientCauses
{
    /// <summary>Causes under which every claimed gradient agrees, within the file's effort.</summary>
    public static FoundCauses Find(Case held, Func<IBackend> backend)
    {
        if (held.Find("cotangent.y") is not { } y) return FoundCauses.None;
        var bare = held.Without(held.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.loss.", StringComparison.Ordinal) || n == "claim.y"));
        return FoundCauses.Among(bare, [.. Faults(bare, y)], fault => Agree(Diagnosis.TryCheck(fault, backend)));
    }

    static bool Agree(Verdict? verdict)
    {
        StageVerdict[] gradients = [.. verdict?.Stages.Where(s => s.Stage.StartsWith("grad.", StringComparison.Ordinal)) ?? []];
        return gradients.Length > 0 && gradients.All(s => s.Outcome == Outcome.Agrees);
    }

    static IEnumerable<OutputVariant> Faults(Case c, CaseTensor y)
    {
        var weight = c.Find("cotangent.losses")?.Values[0] ?? 1;
        OutputVariant Losses(double factor, string value, string sentence) =>
            new(new("losses", value, sentence), c.With(new CaseTensor("cotangent.losses", "F32", [1], [factor * weight])));
        yield return Losses(0, "not attached", "the auxiliary loss is not in the gradient");
        foreach (var factor in new double[] { 2, 4, 8, 16, 3, c.Dialect.K, 1.0 / c.Dialect.K, 0.5, 0.25, -1 }.Where(f => f != 1).Distinct())
            yield return Losses(factor, $"times {Multiples.Text(factor)}", $"the auxiliary loss counts {Multiples.Text(factor)} times in the gradient");
        yield return new(new("y", "not in the gradient", "the gradient has the auxiliary losses alone: the part through y is missing"),
            c.With(y with { Values = new double[y.Values.Length] }));
        yield return new(new("gates", "detached", "the gradient through the gates is missing: they were detached, so that the router learns nothing from the task"),
            c.WithConstantGates);
    }
}
