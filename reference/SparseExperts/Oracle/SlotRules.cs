using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Slots of a rule that is wrong in one or two points: the order in which requests are served, how they are counted, and what is compared with the capacity.
/// </summary>
static class SlotRules
{
    /// <summary>A wrong rule.</summary>
    /// <param name="Assign">Slots [T·K].</param>
    public sealed record Rule(Cause Cause, Func<int[]> Assign);

    enum Counting { All, OwnChoice, LastEarlierChoice, KeptEarlierChoices, Kept }

    enum Overflow { Dropped, Capacity, LastSlot, FirstSlot, Wraps }

    /// <summary>One departure from the right rule: its words, and the rule with it.</summary>
    /// <param name="Axis">The axis that has the same departure as a value, if any.</param>
    sealed record Point(string Value, string Words, Func<Parts, Parts> Make, string? Axis = null);

    /// <param name="Served">Requests of a part of the tokens, as they are served.</param>
    /// <param name="Allowed">What is added to the capacity; null where nobody is dropped.</param>
    /// <param name="First">The number of the first slot.</param>
    /// <param name="Ranks">How many count by themselves.</param>
    /// <param name="IsWhole">Whether a token that loses one choice loses all.</param>
    sealed record Parts(Func<IReadOnlyList<int>, IEnumerable<int>> Served, Counting Counting, int? Allowed, int First, bool IsPooled, Overflow Overflow,
        int Ranks = 1, bool IsWhole = false);

    /// <summary>Rules that are wrong in one point.</summary>
    public static IEnumerable<Rule> Of(ClaimedCall c)
    {
        if (c.Call.Dialect.DropPolicy is not (DropPolicy.Position or DropPolicy.None) && c.Decided.Capacity != RoutingPlan.Unlimited)
        {
            foreach (var rule in RankedSlots.Of(c)) yield return rule;
            yield break;
        }
        foreach (var point in Points(c)) yield return New(c, point.Value, point.Words, point.Make(Right(c)), point.Axis);
    }

    /// <summary>Rules that are wrong in two points, where there are not too many of them for the call.</summary>
    public static IEnumerable<Rule> InTwoPoints(ClaimedCall c)
    {
        if (c.Call.Dialect.DropPolicy is not (DropPolicy.Position or DropPolicy.None)) yield break;
        var right = Right(c);
        Point[] points = [.. Points(c)];
        if ((long)c.Call.Tokens * c.Choices.K * points.Length * points.Length > 1 << 26) yield break;
        for (var i = 0; i < points.Length; i++)
            for (var j = i + 1; j < points.Length; j++)
                if (points[i].Make(points[j].Make(right)) is var both && both != points[i].Make(right) && both != points[j].Make(right))
                    yield return New(c, $"{points[i].Value}, {points[j].Value}", $"{points[i].Words}; and {points[j].Words}", both);
    }

    static Parts Right(ClaimedCall c) => new(tokens => InOrder(c, tokens), Counting.All, 0, 0, false, Overflow.Dropped);

    static Rule New(ClaimedCall c, string value, string words, Parts parts, string? axis = null) =>
        new(new("slots", value, words) { Axis = axis }, () => Assigned(c, parts));

    static IEnumerable<Point> Points(ClaimedCall c)
    {
        var k = c.Choices.K;
        if (k > 1)
        {
            yield return new("later choices from 0", "slots of later choices are counted from 0: the requests of the choices before them are not",
                p => p with { Counting = Counting.OwnChoice });
            if (k > 2)
                yield return new("after the last earlier choice",
                    "slots of later choices are counted from the requests of the last earlier choice only, not from those of all",
                    p => p with { Counting = Counting.LastEarlierChoice });
            yield return new("after kept choices", "slots of later choices are counted from the requests of earlier choices that were kept, not from all",
                p => p with { Counting = Counting.KeptEarlierChoices });
        }
        yield return new("one too many", "the comparison with the capacity is off by one: an expert takes one token more than it may (≤ for <)",
            p => p with { Allowed = 1 });
        yield return new("one too few", "the comparison with the capacity is off by one: an expert takes one token less than it may",
            p => p with { Allowed = -1 });
        yield return new("nobody dropped", "the capacity is ignored: nobody is dropped", p => p with { Allowed = null }, "drop_policy");
        yield return new("from 1", "slots are counted from 1", p => p with { First = 1 });
        if (c.Call.Groups > 1) yield return new("groups pooled", "groups are pooled: requests are counted on over all groups", p => p with { IsPooled = true });
        foreach (var ranks in (int[])[2, 4, 8])
            if (c.Call.Size % ranks == 0 && c.Call.Size > ranks)
                yield return new($"on each of {ranks} ranks", $"requests are counted on each of {ranks} ranks by itself: their slots are the same ones",
                    p => p with { Ranks = ranks });
        if (k > 1) yield return new("whole tokens", LosesAll, p => p with { IsWhole = true });
        IEnumerable<int> By(IEnumerable<int> requests, Func<int, double> key) => requests.OrderBy(key);
        double Best(int i) => Slots.BestScore(c.Call, c.Decided.Numbers, i / k);
        double Gate(int i) => c.Decided.Priority.Values[i];
        yield return new("from the last token", "tokens are served from the last to the first: the priority is reversed",
            p => p with { Served = tokens => p.Served([.. tokens.Reverse()]) });
        if (c.Call.Dialect.BatchPrioritized)
        {
            yield return new("worst first", "the priority is reversed: tokens with the smallest best score are served first",
                p => p with { Served = tokens => By(Plain(c, tokens), Best) });
            yield return new("in token order", "tokens are served in their order and not by their best score",
                p => p with { Served = tokens => Plain(c, tokens) }, "batch_prioritized");
        }
        else
        {
            yield return new("best first", "tokens with the largest best score are served first: batch-prioritised",
                p => p with { Served = tokens => By(Plain(c, tokens), i => -Best(i)) }, "batch_prioritized");
            yield return new("worst first", "tokens with the smallest best score are served first",
                p => p with { Served = tokens => By(Plain(c, tokens), Best) });
        }
        yield return new("by gate", "requests with the largest gates are served first", p => p with { Served = tokens => By(Plain(c, tokens), i => -Gate(i)) });
        yield return new("by gate, worst first", "requests with the smallest gates are served first",
            p => p with { Served = tokens => By(Plain(c, tokens), Gate) });
        if (k > 1)
        {
            yield return new("last choice first", "the choices are served from the last to the first",
                p => p with { Served = tokens => ByChoice(tokens, k, reversed: true) });
            yield return c.Call.Dialect.Order == RequestOrder.TokenMajor
                ? new("choice by choice", "requests are served choice by choice and not token by token",
                    p => p with { Served = tokens => ByChoice(InServedOrder(c, tokens), k) }, "order")
                : new("token by token", "requests are served token by token and not choice by choice",
                    p => p with { Served = tokens => ByToken(InServedOrder(c, tokens), k) }, "order");
        }
        yield return new("refilled", "who is dropped is not counted: places are numbered among the kept", p => p with { Counting = Counting.Kept });
        yield return new("written as C", "choices without a slot are written as slot C: write −1", p => p with { Overflow = Overflow.Capacity });
        yield return new("in the last slot", "choices without a slot are put into the last one", p => p with { Overflow = Overflow.LastSlot });
        yield return new("in slot 0", "choices without a slot are put into slot 0", p => p with { Overflow = Overflow.FirstSlot });
        yield return new("wrapped", "slots beyond the capacity begin again at 0", p => p with { Overflow = Overflow.Wraps });
    }

    static IEnumerable<int> ByChoice(IEnumerable<int> tokens, int k, bool reversed = false)
    {
        int[] all = [.. tokens];
        return Enumerable.Range(0, k).Select(j => reversed ? k - 1 - j : j).SelectMany(j => all.Select(t => t * k + j));
    }

    static IEnumerable<int> ByToken(IEnumerable<int> tokens, int k) => tokens.SelectMany(t => Enumerable.Range(t * k, k));

    /// <summary>Requests in the dialect's order of choices, tokens as they are given.</summary>
    static IEnumerable<int> Plain(ClaimedCall c, IEnumerable<int> tokens) =>
        c.Call.Dialect.Order == RequestOrder.TokenMajor ? ByToken(tokens, c.Choices.K) : ByChoice(tokens, c.Choices.K);

    /// <summary>The same, tokens as the dialect serves them where they are given in their own order.</summary>
    static IEnumerable<int> InOrder(ClaimedCall c, IReadOnlyList<int> tokens) => Plain(c, InServedOrder(c, tokens));

    static IEnumerable<int> InServedOrder(ClaimedCall c, IReadOnlyList<int> tokens) =>
        c.Call.Dialect.BatchPrioritized ? tokens.OrderByDescending(t => Slots.BestScore(c.Call, c.Decided.Numbers, t)) : tokens;

    static int[] Assigned(ClaimedCall c, Parts parts)
    {
        var (call, k, experts) = (c.Call, c.Choices.K, c.Call.Experts);
        var (capacity, slot) = (c.Decided.Capacity, new int[c.Choices.Expert.Length]);
        Array.Fill(slot, RoutingPlan.Dropped);
        var size = (parts.IsPooled ? call.Tokens : call.Size) / parts.Ranks;
        for (var start = 0; start < call.Tokens; start += size)
        {
            int[] tokens = [.. Enumerable.Range(start, size)];
            int[] all = new int[experts], keptOf = new int[experts];
            int[] requests = new int[k * experts], ofChoice = new int[k * experts], keptOfChoice = new int[k * experts];
            foreach (var t in tokens)
                for (var j = 0; j < k; j++)
                    if (c.Choices.Expert[t * k + j] is >= 0 and var asked) requests[j * experts + asked]++;
            foreach (var i in parts.Served(tokens))
            {
                var (e, j) = (c.Choices.Expert[i], i % k);
                if (e < 0 || e >= experts - call.Dialect.NullExperts) continue;
                var own = ofChoice[j * experts + e]++;
                var place = parts.First + parts.Counting switch
                {
                    Counting.All => all[e],
                    Counting.OwnChoice => own,
                    Counting.LastEarlierChoice => own + (j > 0 ? requests[(j - 1) * experts + e] : 0),
                    Counting.KeptEarlierChoices => own + Enumerable.Range(0, j).Sum(before => keptOfChoice[before * experts + e]),
                    Counting.Kept => keptOf[e],
                    var other => throw new InvalidOperationException($"unknown counting {other}"),
                };
                all[e]++;
                var isKept = capacity == RoutingPlan.Unlimited || parts.Allowed is not { } more || place < capacity + more;
                if (isKept) (keptOf[e], keptOfChoice[j * experts + e]) = (keptOf[e] + 1, keptOfChoice[j * experts + e] + 1);
                slot[i] = isKept ? place : parts.Overflow switch
                {
                    Overflow.Dropped => RoutingPlan.Dropped,
                    Overflow.Capacity => capacity,
                    Overflow.LastSlot => capacity - 1,
                    Overflow.FirstSlot => 0,
                    Overflow.Wraps => capacity > 0 ? place % capacity : 0,
                    var other => throw new InvalidOperationException($"unknown overflow {other}"),
                };
            }
        }
        return parts.IsWhole ? OfWholeTokens(c, slot) : slot;
    }

    internal const string LosesAll = "a token that loses one choice loses all";

    /// <summary>Slots of the tokens that keep all choices, and none of the others'.</summary>
    internal static int[] OfWholeTokens(ClaimedCall c, int[] slot)
    {
        var k = c.Choices.K;
        bool Loses(int i) => Enumerable.Range(i / k * k, k).Any(j => c.Choices.Expert[j] >= 0 && slot[j] < 0);
        return [.. slot.Select((s, i) => Loses(i) ? RoutingPlan.Dropped : s)];
    }
}
