using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>The router call that a case records.</summary>
public static class CaseCall
{
    /// <summary>What the file says about the call, besides its tensors.</summary>
    public static RouterCall Of(Case c)
    {
        var shape = c.Find("x")?.Shape ?? c.Get("claim.logits").Shape;
        int groups = (int)shape[0], size = (int)shape[1];
        if ((long)groups * size > int.MaxValue)
            throw new CaseException($"{c.Path}: {groups} groups of {size} tokens are more than {int.MaxValue} tokens; split the call");
        var d = c.Dialect.For(c.Training);
        // Gates that are kept in a narrow format are handed to the experts in it, in the gradients' pass too.
        if (d.GateDtype is null && c.Find("claim.gate") is { Format: NumberFormat.BFloat16 or NumberFormat.Float16 } kept)
            d = d with { GateDtype = kept.Format };
        var experts = c.Find("router.weight")?.Size(0) ?? c.Find("claim.logits")?.Size(-1)
            ?? (c.Find("experts.wi") is { } wi
                ? wi.Size(0) + d.IdentityExperts + d.NullExperts
                : c.Find("router.slots")?.Size(0) ?? c.Find("claim.combine")?.Size(-1)
                    ?? throw new CaseException(
                        $"{c.Path}: nothing says how many experts there are; add router.weight, claim.logits, claim.combine or experts.wi"));
        DialectRules.Check(d, experts);
        if (d.Selection == Selection.BinaryCode)
            throw new CaseException($"{c.Path}: {d.Name} chooses by binary codes, for which case files have no tensors; name another dialect");
        BiasUpdate.Check(c, d);
        if (d is { CountsElsewhere: true, PreviousBatches: > 0 } && c.Training && !c.Has("router.previous_count"))
            throw new CaseException($"{c.Path}: previous_batches {d.PreviousBatches}, but no router.previous_count; give both");
        if (c.Find("router.table") is { } table) CheckTable(c, d, table, groups * size);
        CheckShared(c, d);
        Affordable(c, groups * (long)size, experts, Math.Min(d.K, experts));
        return new()
        {
            Dialect = d,
            Groups = groups,
            Size = size,
            Experts = experts,
            Training = c.Training,
            TokenMask = c.Find("padding")?.Floats ?? [],
            TokenIds = c.Find("token_ids")?.Integers ?? [],
            TaskIds = c.Find("task_ids")?.Integers ?? [],
            PreviousCount = d.CountsElsewhere ? c.Find("router.previous_count")?.Values ?? [] : [],
            Table = c.Find("router.table")?.Integers ?? [],
            TableGates = c.Find("router.table_gates")?.Floats ?? [],
            Format = c.Find("x")?.Format ?? NumberFormat.Float32,
            ScoreFormat = (c.Find("claim.scores") ?? (d.Score == Score.SoftmaxPost ? null : c.Find("claim.gate") ?? c.Find("claim.combine")))?.Format
                ?? NumberFormat.Float32,
            LogitsFormat = LogitsFormat(c, d),
            Effort = new(CheckEffort.Solvers(c)),
            Where = Path.GetFileName(c.Path),
            Draws = DrawKinds.All.Aggregate(new RouterDraws(),
                (draws, kind) => c.Find($"draws.{kind.Name}") is { } given ? kind.With(draws, given.Floats) : draws),
        };
    }

    static void CheckTable(Case c, Dialect d, CaseTensor table, int tokens)
    {
        if (table.Size(-1) != d.K)
            throw new CaseException($"{c.Path}: router.table has {table.Size(-1)} columns, {d.Name} makes {d.K} choices a token; set k or correct the table");
        if (d.Selection == Selection.PlaceTable && table.Size(0) != tokens)
            throw new CaseException($"{c.Path}: router.table has {table.Size(0)} rows, the call {tokens} tokens; give one row a token");
    }

    /// <summary>Refuses another number of shared experts than the dialect has.</summary>
    static void CheckShared(Case c, Dialect d)
    {
        var count = Math.Max(1, d.SharedChoices);
        if (d.SharedInGates || c.Find("shared.wi") is not { Shape.Length: 3 } shared || shared.Size(0) == count) return;
        var remedy = d.SharedChoices > 0 ? "set shared_choices" : "name a dialect with shared_choices or shared_in_gates (as sglang.fused_shared, hf.inkling)";
        throw new CaseException($"{c.Path}: shared.wi holds {shared.Size(0)} shared experts, {d.Name} has {count}; {remedy}, or give so many");
    }

    /// <summary>
    /// What the logits are kept in: the claim's own format where it is narrow, else what the dialect says of logits and router, else the tokens'
    /// where the claim, if there is one, holds numbers of it alone.
    /// </summary>
    static NumberFormat LogitsFormat(Case c, Dialect d)
    {
        var claim = c.Find("claim.logits");
        if (claim?.Format is NumberFormat.BFloat16 or NumberFormat.Float16) return claim.Format;
        var tokens = c.Find("x")?.Format ?? NumberFormat.Float32;
        var said = d.LogitsDtype ?? d.RouterDtype ?? (claim is null || StoredFormat.Holds(tokens, claim) ? tokens : NumberFormat.Float32);
        return said == NumberFormat.Float64 ? NumberFormat.Float32 : said;
    }

    /// <summary>Refuses a small file that asks for a large computation, as no recorded call does: a thin matrix of a million experts, say.</summary>
    static void Affordable(Case c, long tokens, int experts, int k)
    {
        var room = CheckEffort.Room(c);
        var hidden = c.Find("experts.wi")?.Size(-2) ?? 0;
        if ((Int128)tokens * experts > room || (Int128)tokens * k * hidden > room || (Int128)tokens * (c.Find("shared.wi")?.Size(-2) ?? 0) > room)
            throw new CaseException(
                $"{c.Path}: {tokens} tokens × {experts} experts of width {hidden} are far more numbers than the file holds; record the call with its logits");
    }
}
