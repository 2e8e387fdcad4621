namespace SparseExperts.Oracle;

/// <summary>What the file says of its call and another value would cure: the mode, and how its tokens lie in groups.</summary>
static class CallCauses
{
    public static FoundCauses Find(Case bare, string stage, Departure of, Func<IBackend> backend) =>
        FoundCauses.Among(bare, [.. OtherMode(bare), .. Regrouped(bare, stage)], faulty => Stage.Cures(faulty, stage, of, backend));

    static IEnumerable<FaultyCall> OtherMode(Case c)
    {
        var other = c.Training ? "eval" : "train";
        var doing = c.Training ? "evaluation" : "training";
        yield return new(new("mode", other, $"these are the numbers of {doing}: as if mode = {other} instead of {c.Mode}"), c.Under(c.Dialect, other));
    }

    /// <summary>The loss of one group of all tokens, or of a group a sequence.</summary>
    static IEnumerable<FaultyCall> Regrouped(Case c, string stage)
    {
        if (!stage.StartsWith("loss.", StringComparison.Ordinal) || c.Find("x") is not { } x || c.Has("claim.token") || c.Has("claim.count")) yield break;
        long groups = x.Shape[0], size = x.Shape[1];
        if (groups > 1)
            yield return In(1, $"all tokens are pooled: it agrees with one group; write x as [1, {groups * size}, {x.Size(2)}] if that is meant");
        for (var parts = 2; parts <= 64 && groups == 1; parts++)
            if (size % parts == 0 && size > parts)
                yield return In(parts,
                    $"it agrees with {parts} groups, as with a group a sequence; write x as [{parts}, {size / parts}, {x.Size(2)}] if that is meant");

        FaultyCall In(long parts, string sentence)
        {
            bool IsOfTokens(CaseTensor t) => t.Shape.Length >= 2 && t.Shape[0] == groups && t.Shape[1] == size
                && (t.Name is "x" or "padding" or "token_ids" or "task_ids" or "experts.x" or "router.previous"
                    || t.Name.StartsWith("claim.", StringComparison.Ordinal)
                    || t.Name.StartsWith("draws.", StringComparison.Ordinal));
            var tensors = c.Tensors.Where(IsOfTokens).Select(t => t with { Shape = [parts, groups * size / parts, .. t.Shape[2..]] });
            return new(new("groups of tokens", $"{parts}", sentence), c.With([.. tensors]));
        }
    }
}
