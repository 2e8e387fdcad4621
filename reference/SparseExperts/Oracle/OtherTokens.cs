namespace SparseExperts.Oracle;

/// <summary>Rows that are right for another token: the router or the experts were fed with it, or results went back to the wrong one.</summary>
static class OtherTokens
{
    /// <summary>Which token's row each one has; null at an edge where it may have any.</summary>
    internal sealed record Order(string Value, string Words, Func<int, int?> From);

    /// <summary>Orders in which a call of G groups of S tokens is confused.</summary>
    public static IEnumerable<Order> Orders(int groups, int size)
    {
        int? Inside(int t, int by) => t / size == (t + by + size) / size - 1 ? t + by : null;
        if (size > 2) yield return new("shifted by -1", "the token before it", t => Inside(t, -1));
        if (size > 2) yield return new("shifted by 1", "the token after it", t => Inside(t, 1));
        if (size > 1) yield return new("reversed", "the token at its place counted from the end of the group", t => t / size * size + size - 1 - t % size);
        if (size > 2) yield return new("the first", "the first token of its group", t => t / size * size);
        if (size > 2) yield return new("the last", "the last token of its group", t => t / size * size + size - 1);
        if (groups > 1) yield return new("of the next group", "the token at its place in the next group", t => (t + size) % (groups * size));
        if (groups > 1) yield return new("of the group before", "the token at its place in the group before", t => (t + (groups - 1) * size) % (groups * size));
        if (groups > 1 && size > 1) yield return new("transposed", "the token that has its place where groups and tokens are exchanged",
            t => t % size * groups + t / size);
        if (groups > 1 && size > 1) yield return new("transposed", "the token that has its place where groups and tokens are exchanged",
            t => t % groups * size + t / groups);
    }

    /// <summary>The token so many places on in its group, which ends where it begins.</summary>
    public static int Turned(int token, int by, int size) => token / size * size + (token % size + by + size) % size;

    /// <summary>The order under which every row is that of another token.</summary>
    public static Cause? Find(string stage, Departure of, int groups, int size)
    {
        var tokens = groups * size;
        if (tokens < 3 || of.Claimed.Length % tokens != 0) return null;
        var width = of.Claimed.Length / tokens;
        bool Same(int here, int there)
        {
            for (var j = 0; j < width; j++)
            {
                int own = here * width + j, other = there * width + j;
                if (of.Claimed[own] != of.Expected[other] && !(Math.Abs(of.Claimed[own] - of.Expected[other]) <= of.Bounds[other])) return false;
            }
            return true;
        }
        foreach (var order in Orders(groups, size))
            if (Enumerable.Range(0, tokens).All(t => order.From(t) is not { } from || Same(t, from)))
                return new("tokens", order.Value, $"{Words(stage)}: each has {Of(stage)} of {order.Words}");
        return null;
    }

    static string Words(string stage) => stage is "y" or "expert" or "grad.x" ? "tokens are shifted or out of order" : "the router was fed with another token";

    static string Of(string stage) => stage switch
    {
        "y" => "the output",
        "logits" => "the logits",
        "scores" => "the scores",
        "gate" or "combine" => "the gates",
        "expert" => "the experts",
        "grad.x" => "the gradient",
        _ => $"the {stage.Replace('_', ' ')}",
    };

    /// <summary>The call with another token's row before the router of each; the experts read the right ones.</summary>
    public static IEnumerable<FaultyCall> BeforeTheRouter(Case c)
    {
        if (c.Has("claim.logits") || c.Find("x") is not { } x) yield break;
        var (groups, size, width) = (x.Size(0), x.Size(1), x.Size(2));
        foreach (var order in Orders(groups, size))
        {
            var fed = new double[x.Values.Length];
            for (var t = 0; t < groups * size; t++) Array.Copy(x.Values, (order.From(t) ?? t) * width, fed, t * width, width);
            CaseTensor[] tensors = [x with { Values = fed },
                .. c.Has("experts.x") || !c.Has("experts.wi") ? Array.Empty<CaseTensor>() : [x with { Name = "experts.x" }]];
            yield return new(new("tokens", order.Value, $"the router was fed with another token: for each with {order.Words}"), c.With(tensors));
        }
    }
}
