using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>What the reference itself claims of a case: every claim that its dialect makes from what the file holds, in float32.</summary>
public static class CaseAnswers
{
    /// <summary>The case with its claims filled in; those that it has are replaced, except logits that no router weight could give.</summary>
    /// <param name="backend">A backend of the scalar kind, whose bits are the canonical ones.</param>
    public static Case Fill(Case asked, IBackend backend) => Fill(asked, backend, isForced: false);

    /// <summary>
    /// The same with another engine's routes in the place of the router's: gates, outputs, losses and gradients are recomputed from this case's own full
    /// scores at the recorded ids (rollout routing replay, arXiv:2510.11370).
    /// </summary>
    /// <param name="routes">A file with claim.expert of the same tokens, and claim.slot where something was dropped.</param>
    public static Case Replay(Case asked, Case routes, IBackend backend)
    {
        if (!HasRoutes(asked.Dialect))
            throw new CaseException($"{asked.Path}: in {asked.Dialect.Name} tokens do not choose experts, so that there are no routes to replay");
        if (routes.Find("claim.expert") is not { } expert)
            throw new CaseException($"{routes.Path}: no claim.expert, so that there are no routes to replay; add it");
        var x = asked.Get("x");
        RequireSameTokens(asked, routes, x, expert);
        RequireDistinct(asked, routes, expert);
        if (routes.Find("claim.slot") is { } slots) RequireFreeSlots(asked, routes, x, expert, slots);

        string[] taken = ["claim.expert", "claim.slot"];
        var recorded = taken.Select(routes.Find).OfType<CaseTensor>().Select(t => t with { Shape = [x.Shape[0], x.Shape[1], t.Shape[^1]] });
        var ownClaims = asked.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.", StringComparison.Ordinal) && n != "claim.logits");
        return Fill(asked.Without(ownClaims).With(recorded), backend, isForced: true);
    }

    /// <summary>Whether tokens choose experts; where experts choose tokens there is nothing to replay.</summary>
    public static bool HasRoutes(Dialect d) => d.LayerKind() == LayerKind.Routed
        && d.Selection is not (Selection.ExpertChoice or Selection.OptimalTransport or Selection.OptimalAssignment or Selection.Auction);

    /// <summary>Refuses routes of other tokens, or of another number of choices.</summary>
    static void RequireSameTokens(Case asked, Case routes, CaseTensor x, CaseTensor expert)
    {
        long routed = expert.Size(0) * expert.Size(1), tokens = x.Size(0) * x.Size(1);
        if (routed != tokens) throw new CaseException($"{routes.Path}: routes of {routed} tokens, but {asked.Path} has {tokens}; replay the same tokens");
        var experts = CaseCall.Of(asked).Experts;
        var own = asked.Dialect.Selection switch
        {
            Selection.All or Selection.PositiveScores or Selection.Batchwise => experts,
            Selection.DynamicTopK => expert.Size(-1),       // as many as the step has
            _ => Math.Min(asked.Dialect.K, experts),
        };
        if (expert.Size(-1) == own) return;
        throw new CaseException(
            $"{routes.Path}: {expert.Size(-1)} choices a token, but {asked.Path} ({asked.Dialect.Name}) makes {own}; replay routes of as many");
    }

    /// <summary>Refuses an expert that a token has twice, where a dialect takes what was chosen out of the next choice.</summary>
    static void RequireDistinct(Case asked, Case routes, CaseTensor expert)
    {
        if (asked.Dialect.Taken != Taken.Removed) return;
        var rows = expert.Integers.Chunk(expert.Size(-1)).ToArray();
        var twice = Array.FindIndex(rows, row => row.Where(e => e >= 0).Distinct().Count() != row.Count(e => e >= 0));
        if (twice < 0) return;
        throw new CaseException($"{routes.Path}: token {twice} has an expert twice, which {asked.Dialect.Name} never gives; correct claim.expert");
    }

    /// <summary>Refuses slots of other groups, and two tokens in one slot where no dialect lets them share it.</summary>
    static void RequireFreeSlots(Case asked, Case routes, CaseTensor x, CaseTensor expert, CaseTensor slots)
    {
        if (expert.Size(0) != x.Size(0))
        {
            var counts = $"slots of {expert.Size(0)} groups, but {asked.Path} has {x.Size(0)}";
            throw new CaseException($"{routes.Path}: {counts}; replay calls of the same groups, or leave claim.slot out");
        }
        if (slots.Values.Length != expert.Values.Length) return;
        if (asked.Dialect.DroppedOutput is DroppedOutput.SharedSlot or DroppedOutput.CollidingSlot) return;
        var taken = new HashSet<(int Group, int Expert, int Slot)>();
        for (var i = 0; i < slots.Values.Length; i++)
        {
            var token = i / expert.Size(-1);
            int chosen = (int)expert.Values[i], slot = (int)slots.Values[i];
            if (slot < 0 || taken.Add((token / expert.Size(1), chosen, slot))) continue;
            var place = $"slot {slots.Values[i]} of expert {expert.Values[i]}";
            throw new CaseException($"{routes.Path}: token {token} sits in {place}, which another token has; correct claim.slot");
        }
    }

    static Case Fill(Case asked, IBackend backend, bool isForced)
    {
        // Old claims say nothing here, neither numbers nor formats, but for logits without a router and routes that are forced.
        bool Stays(string name) =>
            !name.StartsWith("claim.", StringComparison.Ordinal)
            || name == "claim.logits" && !asked.Has("router.weight")
            || isForced && name is "claim.expert" or "claim.slot";
        asked = asked.Without([.. asked.Tensors.Select(t => t.Name).Where(n => !Stays(n))]);
        var layer = CaseLayer.Of(asked);
        using var tape = new Tape(backend);
        var own = new OwnClaims(asked, CaseCall.Of(asked), tape, isForced);
        var (y, loss) = layer.Answer(own);
        own.AddOutput(y, loss);
        return asked.With(own.Claims);
    }
}
