using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Which tensors of a case have a row for each token, and what the others are to a comparison of rows.</summary>
static class RowStages
{
    /// <summary>What a token is given, besides the weights of its layer.</summary>
    public static IReadOnlyList<string> Inputs { get; } =
    [
        "x", "experts.x", "router.previous", "token_ids", "task_ids", "cotangent.y",
        .. DrawKinds.All.Where(kind => kind.Shape.StartsWith("GS", StringComparison.Ordinal)).Select(kind => $"draws.{kind.Name}"),
    ];

    /// <summary>Claims in the order in which they are made.</summary>
    public static IReadOnlyList<string> Claims { get; } =
    [
        "router_state", "key_logits", "logits", "shared_logits", "scores", "expert", "slot", "gate", "shared_gate", "combine",
        "slot_dispatch", "slot_combine", "y", "grad.x", "grad.experts.x", "grad.router.previous",
    ];

    /// <summary>Of the whole call: they have no row for a token, and no check of rows needs them.</summary>
    static bool IsOfCall(string claim) => claim.StartsWith("claim.", StringComparison.Ordinal)
        && claim is not ("claim.capacity" or "claim.token") && !Claims.Contains(claim["claim.".Length..]);

    /// <summary>Claims that both files make and nobody can compare by row.</summary>
    public static IEnumerable<string> Left(Case first, Case second) => first.Tensors.Select(t => t.Name)
        .Where(n => n.StartsWith("claim.", StringComparison.Ordinal) && second.Has(n) && !Claims.Contains(n["claim.".Length..]));

    /// <summary>The case with the claims of rows alone, and of these only such as the file lets one recompute.</summary>
    public static Case Checkable(Case @case)
    {
        var left = @case.Tensors.Select(t => t.Name).Where(IsOfCall).ToHashSet();
        if (!@case.Has("experts.wi")) left.Add("claim.y");
        if (!@case.Has("cotangent.y") && !@case.Has("cotangent.losses") || !@case.Has("experts.wi"))
            left.UnionWith(@case.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.grad.", StringComparison.Ordinal)));
        return @case.Without(left);
    }

    /// <summary>Refuses calls of two layers: another weight, or other sizes.</summary>
    public static void RequireOneLayer(Case first, Case second)
    {
        var weights = first.Tensors.Where(t => !IsOfToken(t.Name) && second.Has(t.Name));
        foreach (var weight in weights)
        {
            var other = second.Get(weight.Name);
            if (weight.Shape.AsSpan().SequenceEqual(other.Shape) && weight.Values.AsSpan().SequenceEqual(other.Values)) continue;
            throw new CaseException($"{second.Path}: {weight.Name} is another one than in {first.Path}; record both calls with the weights of one layer");
        }
        foreach (var name in Inputs.Concat(Claims.Select(c => $"claim.{c}")))
            if (first.Find(name) is { } a && second.Find(name) is { } b && !a.Shape.AsSpan(2).SequenceEqual(b.Shape.AsSpan(2)))
                throw new CaseException($"{second.Path}: {name} is [{Text(b)}], in {first.Path} it is [{Text(a)}]; compare calls of one layer");
    }

    static bool IsOfToken(string name) => name.StartsWith("claim.", StringComparison.Ordinal) || name.StartsWith("draws.", StringComparison.Ordinal)
        || Inputs.Contains(name) || name is Case.Row or "padding" or "cotangent.losses" or "router.previous_count";

    static string Text(CaseTensor tensor) => string.Join(", ", tensor.Shape);
}
