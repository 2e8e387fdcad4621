using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Whether claimed slots are slots that the dialect allows: who keeps one, and which number it gets.</summary>
static class SlotCheck
{
    public static StageVerdict Run(RouterCall call, Choices choices, RouterNumbers numbers, Numbers priority, RoutingPlan expected, int[] claimed, int capacity)
    {
        if (claimed.AsSpan().SequenceEqual(expected.Slot)) return new("slot", Outcome.Agrees);
        var wrong = Enumerable.Range(0, claimed.Length).Where(i => i >= expected.Slot.Length || claimed[i] != expected.Slot[i]).ToArray();
        var first = wrong[0];
        var difference = new Difference(first, claimed[first], expected.Slot.ElementAtOrDefault(first), double.NaN, double.NaN, wrong.Length, claimed.Length);
        if (claimed.Length != expected.Slot.Length) return new("slot", Outcome.Differs, difference);
        if (call.Dialect.OpenDropTies && KeepsEquals(call, choices, priority, expected, claimed, capacity)) return new("slot", Outcome.Agrees);
        if (call.Dialect.BatchPrioritized && OrderIsOpen(call, numbers)) return new("slot", Outcome.Undecided, difference);
        return new("slot", Outcome.Differs, difference);
    }

    /// <summary>Every expert keeps as many as expected, with the same priorities, numbered in token order.</summary>
    static bool KeepsEquals(RouterCall call, Choices choices, Numbers priority, RoutingPlan expected, int[] claimed, int capacity)
    {
        var k = choices.K;
        for (var g = 0; g < call.Groups; g++)
            for (var e = 0; e < call.Experts; e++)
            {
                int[] asked = [.. Enumerable.Range(g * call.Size * k, call.Size * k).Where(i => choices.Expert[i] == e)];
                // A request whose priority underflowed to 0 ties with those who did not ask.
                bool Counts(int i) => call.Dialect.DropPolicy != DropPolicy.Score || Key(call, priority, i, e) != 0;
                int[] kept = [.. asked.Where(i => claimed[i] >= 0)], wanted = [.. asked.Where(i => expected.Slot[i] >= 0)];
                if (kept.Count(Counts) != wanted.Count(Counts)) return false;
                if (call.Dialect.SlotOrder == SlotOrder.TokenAmongKept && kept.Where((i, n) => claimed[i] != n).Any()) return false;
                double[] Keys(int[] of) => [.. of.Where(Counts).Select(i => Key(call, priority, i, e)).Order()];
                if (!Keys(kept).SequenceEqual(Keys(wanted))) return false;
            }
        return true;
    }

    /// <summary>Whether at some full expert the last kept and the first dropped are equal.</summary>
    public static bool HasOpenDrops(RouterCall call, Choices choices, Numbers priority, int capacity)
    {
        var k = choices.K;
        for (var g = 0; g < call.Groups; g++)
            for (var e = 0; e < call.Experts; e++)
            {
                var asked = Enumerable.Range(g * call.Size * k, call.Size * k).Where(i => choices.Expert[i] == e);
                double[] keys = [.. asked.Select(i => Key(call, priority, i, e)).OrderDescending()];
                if (capacity <= 0 || keys.Length <= capacity) continue;
                double lastKept = keys[capacity - 1], firstDropped = keys[capacity];
                if (lastKept - firstDropped <= 4 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(firstDropped))) return true;
            }
        return false;
    }

    /// <summary>What decides who stays; by position alone all are equal in the library's own top-k over zeros and ones.</summary>
    static double Key(RouterCall call, Numbers priority, int choice, int expert) => call.Dialect.DropPolicy switch
    {
        DropPolicy.Score => priority.Values[choice],
        DropPolicy.Random => call.Draws.Rts![choice / (priority.Values.Length / call.Tokens) * call.Experts + expert],
        DropPolicy.Position or DropPolicy.Logit or DropPolicy.None => 1,
        var other => throw new RoutingException($"{call.Where}: unknown drop policy {other}"),
    };

    /// <summary>Whether two tokens' best scores are equal where the library's sort leaves that open, or nearer than what is known of them.</summary>
    static bool OrderIsOpen(RouterCall call, RouterNumbers numbers)
    {
        for (var g = 0; g < call.Groups; g++)
        {
            var best = Enumerable.Range(g * call.Size, call.Size)
                .Select(t => (Token: t, Score: Slots.BestScore(call, numbers, t), Error: Slack(call, numbers, t))).OrderByDescending(s => s.Score).ToArray();
            for (var i = 1; i < best.Length; i++)
            {
                var margin = best[i - 1].Score - best[i].Score;
                var error = best[i - 1].Error + best[i].Error;
                // Equal rows of logits give equal scores, which a stable sort leaves in order.
                if (error > 0 && !call.Dialect.OpenBatchTies && KnownTies.HasSameRow(call, numbers, best[i - 1].Token, best[i].Token)) continue;
                if (margin == 0 && call.Dialect.OpenBatchTies || error > 0 && margin <= error) return true;
            }
        }
        return false;
    }

    static double Slack(RouterCall call, RouterNumbers numbers, int token) => numbers.Scores.Errors.AsSpan(token * call.Experts, call.Experts).ToArray().Max();
}
