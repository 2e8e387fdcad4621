using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Slots where an expert keeps the best of its requests, by a rule that is wrong in one point.</summary>
static class RankedSlots
{
    public static IEnumerable<SlotRules.Rule> Of(ClaimedCall c)
    {
        SlotRules.Rule New(string value, string words, bool worst = false, int? more = 0, bool pooled = false, SlotOrder? order = null) =>
            new(new("slots", value, words) { Axis = order is null ? null : "slot_order" },
                () => Assigned(c, worst, more, pooled, order ?? c.Call.Dialect.SlotOrder));
        yield return New("worst first", "the priority is reversed: an expert keeps the smallest and not the largest", worst: true);
        yield return New("one too many", "the comparison with the capacity is off by one: an expert takes one token more than it may", more: 1);
        yield return New("one too few", "the comparison with the capacity is off by one: an expert takes one token less than it may", more: -1);
        yield return New("nobody dropped", "the capacity is ignored: nobody is dropped", more: null);
        if (c.Call.Groups > 1) yield return New("groups pooled", "groups are pooled: an expert keeps the best of all groups together", pooled: true);
        if (c.Call.Dialect.SlotOrder == SlotOrder.Descending) yield return New("in token order", "slots are numbered in token order and not by rank",
            order: SlotOrder.TokenAmongKept);
        else yield return New("by rank", "slots are numbered by rank and not in token order", order: SlotOrder.Descending);
        int[] Right() => Assigned(c, worst: false, 0, pooled: false, c.Call.Dialect.SlotOrder);
        yield return new(new("slots", "from 1", "slots are counted from 1"), () => [.. Right().Select(s => s < 0 ? s : s + 1)]);
        if (c.Choices.K > 1) yield return new(new("slots", "whole tokens", SlotRules.LosesAll), () => SlotRules.OfWholeTokens(c, Right()));
    }

    static int[] Assigned(ClaimedCall c, bool worst, int? more, bool pooled, SlotOrder order)
    {
        var (call, k) = (c.Call, c.Choices.K);
        var slot = new int[c.Choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        double Key(int i, int e) => call.Dialect.DropPolicy switch
        {
            DropPolicy.Random => call.Draws.Rts![i / k * call.Experts + e],
            DropPolicy.Logit => c.Decided.Numbers.Logits.Values[i / k * call.Experts + e],
            _ => c.Decided.Priority.Values[i],
        };
        var size = pooled ? call.Tokens : call.Size;
        for (var start = 0; start < call.Tokens; start += size)
            for (var e = 0; e < call.Experts; e++)
            {
                var asked = Enumerable.Range(start * k, size * k).Where(i => c.Choices.Expert[i] == e);
                var ranked = worst ? asked.OrderBy(i => Key(i, e)) : asked.OrderByDescending(i => Key(i, e));
                int[] kept = [.. more is { } added ? ranked.Take(c.Decided.Capacity + added) : ranked];
                if (order != SlotOrder.Descending) Array.Sort(kept);
                for (var s = 0; s < kept.Length; s++) slot[kept[s]] = s;
            }
        return slot;
    }
}
