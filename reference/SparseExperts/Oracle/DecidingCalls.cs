namespace SparseExperts.Oracle;

/// <summary>What input would decide an axis, and whether the files have one already: then more of the kind may not tell its values apart.</summary>
static class DecidingCalls
{
    sealed record Kind(Func<string, bool> Decides, string Text, Func<Case, bool> IsOne);

    /// <summary>The first that is for an axis counts.</summary>
    static readonly Kind[] Kinds =
    [
        new(axis => axis.Contains("capacity") || axis.Contains("drop") || axis is "alignment" or "policy" or "batch_prioritized",
            "calls in which experts overflow, one of them with very few tokens", Overflows),
        new(axis => axis.Contains("padding") || axis.EndsWith("_tokens"),
            "a call with padding, losses claimed", c => c.Find("padding") is { } padding && padding.Values.Contains(0) && HasLosses(c)),
        new(axis => axis == "ties", "a call with equal scores", HasTies),
        new(axis => axis == "balance_level", "losses of several sequences of unlike length",
            c => HasLosses(c) && c.Find("x") is { } x && x.Size(0) > 1 && c.Find("padding") is { } padding && padding.Values.Contains(0)),
        new(axis => axis == "force_balance", "claims of scores, experts and gates", HasGates),
        new(axis => axis.StartsWith("bias_", StringComparison.Ordinal),
            "claim.correction_bias of a training call with padding, an expert at the mean", c => c.Has("claim.correction_bias") && c.Has("padding")),
        new(axis => axis.Contains("balance") || axis.Contains("loss") || axis.Contains("coefficient") || axis.StartsWith("z_"),
            "claims of the losses before and after their coefficients", c => HasLosses(c) && c.Has("claim.loss.total")),
        new(axis => axis.Contains("shared") || axis.Contains("activation") || axis.Contains("gate_to") || axis.Contains("identity"),
            "expert weights and claim.y", c => c.Has("experts.wi") && c.Has("claim.y")),
        new(axis => axis.Contains("noise") || axis.Contains("jitter") || axis.Contains("router_policy")
                || axis.Contains("temperature") || axis.Contains("dropout"),
            "a training call with its draws", c => c.Training && Any(c, "draws.")),
        new(axis => axis.Contains("group"), "near ties between groups of experts", _ => false),
        new(_ => true, "claims of scores and gates for near ties, large and all-negative logits", _ => false),
    ];

    public static (string Text, bool IsThere) For(string axis, IReadOnlyList<Case> files)
    {
        var kind = Kinds.First(k => k.Decides(axis));
        return (kind.Text, files.Any(kind.IsOne));
    }

    /// <summary>
    /// Values that another call could rule out: a rule that leaves ties open allows whatever is claimed, so that no call speaks against it, and where it is the
    /// dialect's, the one other value that is left is what the implementation does.
    /// </summary>
    public static OpenAxis? Decidable(OpenAxis open)
    {
        if (open.Axis != "ties") return open;
        const string any = "unspecified";
        string[] rules = [.. open.Also.Where(a => a != any)];
        return rules.Length < (open.Is == any ? 2 : 1) ? null : open with { Also = rules };
    }

    static bool Any(Case c, string start) => c.Tensors.Any(t => t.Name.StartsWith(start, StringComparison.Ordinal));
    static bool HasLosses(Case c) => Any(c, "claim.loss.");
    static bool HasGates(Case c) => c.Has("claim.scores") && c.Has("claim.expert") && c.Has("claim.gate");

    static bool Overflows(Case c) => c.Find("claim.expert") is { } expert && c.Find("claim.slot") is { } slot && expert.Values.Length == slot.Values.Length
        && expert.Values.Zip(slot.Values).Any(p => p is { First: >= 0, Second: < 0 });

    /// <summary>Whether a token has equal scores, or logits where no scores are claimed.</summary>
    static bool HasTies(Case c) => (c.Find("claim.scores") ?? c.Find("claim.logits")) is { Values.Length: > 0 } rows && rows.Size(-1) > 1
        && rows.Values.Chunk(rows.Size(-1)).Any(row => row.Distinct().Count() < row.Length);
}
