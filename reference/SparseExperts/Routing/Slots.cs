using SparseExperts.Routing.Quirks;

namespace SparseExperts.Routing;

/// <summary>From requests to slots: who is served first, who is dropped, and which number a kept request gets.</summary>
public static class Slots
{
    /// <param name="priority">What DropPolicy.Score ranks [T·K]: gates before dropping; and the bound on each one's error.</param>
    public static RoutingPlan Assign(RouterCall call, Choices choices, int capacity, RouterNumbers numbers, ReadOnlySpan<double> priority)
    {
        var d = call.Dialect;
        var isInOrder = d.DropPolicy is DropPolicy.Position or DropPolicy.None || capacity == RoutingPlan.Unlimited;
        var slot = choices.Slot.Length > 0 ? choices.Slot
            : isInOrder ? InOrder(call, choices, capacity, numbers)
            : ByRank(call, choices, capacity, numbers, priority);
        return new(call.Experts, call.Groups, choices.K, capacity, SharedSlots.Experts(call, choices), slot);
    }

    /// <summary>Requests in order, until the expert is full. Earlier requests count whether they were kept or not: a full expert stays full.</summary>
    static int[] InOrder(RouterCall call, Choices choices, int capacity, RouterNumbers numbers)
    {
        var d = call.Dialect;
        var k = choices.K;
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var g = 0; g < call.Groups; g++)
        {
            var asked = new int[call.Experts];
            var order = Order(call, numbers, g);
            void Serve(int t, int j)
            {
                var e = choices.Expert[t * k + j];
                if (e < 0 || e >= call.Experts - d.NullExperts) return;
                var place = asked[e]++;
                if (place < capacity) slot[t * k + j] = place;
                else if (d.DroppedOutput == DroppedOutput.SharedSlot) slot[t * k + j] = 0;
            }
            if (d.DroppedOutput == DroppedOutput.CollidingSlot) { CollidingSlots.Serve(call, choices, capacity, g, slot); continue; }
            if (d.Order == RequestOrder.TokenMajor)
                foreach (var t in order)
                    for (var j = 0; j < k; j++) Serve(t, j);
            else
                for (var j = 0; j < k; j++)
                    foreach (var t in order) Serve(t, j);
        }
        SharedSlots.Seat(call, choices, slot);
        return slot;
    }

    /// <summary>Tokens of a group as they are served: in order, or by descending best score, equals in order.</summary>
    public static int[] Order(RouterCall call, RouterNumbers numbers, int group)
    {
        var order = Enumerable.Range(group * call.Size, call.Size);
        if (!call.Dialect.BatchPrioritized) return [.. order];
        return [.. order.OrderByDescending(t => BestScore(call, numbers, t))];
    }

    /// <summary>A token's best score; padding that is skipped has 0.</summary>
    public static double BestScore(RouterCall call, RouterNumbers numbers, int token)
    {
        if (!call.IsReal(token) && call.Dialect.Padding is PaddingRule.Skipped or PaddingRule.ScoresZeroed) return 0;
        double best = double.NegativeInfinity;
        for (var e = 0; e < call.Experts; e++) best = Math.Max(best, numbers.Scores[token, e, call.Experts]);
        return best;
    }

    /// <summary>Each expert keeps its C best by the priority; who did not ask stands there with 0.</summary>
    static int[] ByRank(RouterCall call, Choices choices, int capacity, RouterNumbers numbers, ReadOnlySpan<double> priority)
    {
        var d = call.Dialect;
        var k = choices.K;
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        var keys = new double[call.Size];
        for (var g = 0; g < call.Groups; g++)
            for (var e = 0; e < call.Experts; e++)
            {
                var choiceOf = new int[call.Size];
                Array.Fill(choiceOf, -1);
                Array.Clear(keys);
                for (var t = 0; t < call.Size; t++)
                    for (var j = 0; j < k; j++)
                    {
                        var i = (g * call.Size + t) * k + j;
                        if (choices.Expert[i] != e) continue;
                        choiceOf[t] = i;
                        keys[t] = d.DropPolicy switch
                        {
                            DropPolicy.Random => call.Draws.Rts![(g * call.Size + t) * call.Experts + e],
                            DropPolicy.Logit => numbers.Logits.Values[(g * call.Size + t) * call.Experts + e],
                            DropPolicy.Score => priority[i],
                            var other => throw new RoutingException($"{call.Where}: drop policy {other} ranks nothing"),
                        };
                    }
                bool Stays(int t) => choiceOf[t] >= 0 && (d.SlotOrder != SlotOrder.Descending || keys[t] != 0);
                int[] kept = [.. Ranking.Top(keys, capacity, TieRule.Lowest).Where(Stays)];
                if (d.SlotOrder != SlotOrder.Descending) Array.Sort(kept);
                for (var s = 0; s < kept.Length; s++) slot[choiceOf[kept[s]]] = s;
            }
        return slot;
    }
}
