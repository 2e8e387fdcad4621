namespace SparseExperts.Routing;

/// <summary>
/// BASE's balanced assignment as fairseq computes it: an auction in which each worker (expert) bids for its J = T/E best tokens, round by
/// round, slightly short of the optimum, so that the rounds themselves are the definition
/// (fairseq clib/libbase/balanced_assignment.cpp; Bertsekas 1992). All arithmetic is float32.
/// </summary>
static class Auction
{
    const int Patience = 100;

    /// <summary>A bid raises a price by at least a fiftieth of the range of affinities.</summary>
    const int Steps = 50;

    public static Choices Select(RouterCall call, RouterNumbers numbers)
    {
        int size = call.Size, experts = call.Experts;
        if (!call.Training) return TopK.Select(call, numbers);
        if (size % experts != 0)
        {
            const string never = "the auction never ends unless the experts divide the tokens; choose numbers that divide";
            throw new RoutingException($"{call.Where}: {size} tokens among {experts} experts: {never}");
        }
        if (experts < 2)
        {
            const string few = "the auction asks for one token more than there are when one expert bids; use at least 2 experts";
            throw new RoutingException($"{call.Where}: {few}");
        }
        var jobs = size / experts;
        var token = new int[call.Groups * size];
        for (var g = 0; g < call.Groups; g++)
        {
            var values = new float[experts, size];
            for (var t = 0; t < size; t++)
                for (var e = 0; e < experts; e++) values[e, t] = (float)numbers.Logits.Values[(g * size + t) * experts + e];
            MakeFinite(values);
            Assign(values, jobs, call).CopyTo(token, g * size);
        }
        return Choices.FromTokens(token, call.Groups, size, experts, [ExpertChoice.Columns(call, numbers.Logits)]);
    }

    /// <summary>Affinities that are not finite become the smallest that is (fairseq base_layer.py).</summary>
    static void MakeFinite(float[,] values)
    {
        var least = float.MaxValue;
        foreach (var v in values) least = float.IsFinite(v) ? Math.Min(least, v) : least;
        for (var e = 0; e < values.GetLength(0); e++)
            for (var t = 0; t < values.GetLength(1); t++)
                if (!float.IsFinite(values[e, t])) values[e, t] = least;
    }

    /// <summary>
    /// Tokens worker by worker, in each worker's own order of value. While a token has no bidder another has two, whose price rises by a step;
    /// beyond the range of affinities it has one at most. So the rounds are at most (Steps + 2)·T after the patient ones, or rounding swallows bids.
    /// </summary>
    static int[] Assign(float[,] affinity, int jobs, RouterCall call)
    {
        int workers = affinity.GetLength(0), count = affinity.GetLength(1);
        float least = float.MaxValue, most = float.MinValue;
        foreach (var a in affinity) (least, most) = (Math.Min(least, a), Math.Max(most, a));
        var epsilon = Math.Max((most - least) / Steps, 1e-4f);
        var value = (float[,])affinity.Clone();
        var cost = new float[count];
        var winner = new int[count];
        Array.Fill(winner, -1);
        var limit = Patience + (Steps + 2) * (long)count;
        for (var round = 0; round < limit; round++)
        {
            call.Effort.Spend(4L * workers * count * (1 + int.Log2(count)), call.Where, "the auction");
            var bids = new float[workers, count];
            var top = new int[workers][];
            for (var w = 0; w < workers; w++)
            {
                var best = Best(value, w, jobs + 1);
                var next = value[w, best[jobs]];
                foreach (var t in best.AsSpan(0, jobs)) bids[w, t] = value[w, t] - next + epsilon;
                top[w] = best[..jobs];
            }
            if (round is > 0 and < Patience)
                for (var t = 0; t < count; t++)
                    if (winner[t] >= 0) bids[winner[t], t] = epsilon;
            var isDone = true;
            var high = new float[count];
            var bidder = new int[count];
            for (var t = 0; t < count; t++)
            {
                for (var w = 1; w < workers; w++)
                    if (bids[w, t] > bids[bidder[t], t]) bidder[t] = w;
                high[t] = bids[bidder[t], t];
                isDone &= high[t] > 0;
            }
            if (isDone) return [.. top.SelectMany(t => t)];
            for (var t = 0; t < count; t++)
            {
                cost[t] += high[t];
                for (var w = 0; w < workers; w++) value[w, t] = affinity[w, t] - cost[t];
                winner[t] = high[t] > 0 ? bidder[t] : -1;
                if (winner[t] >= 0) value[winner[t], t] = round < Patience ? most : affinity[winner[t], t];
            }
        }
        throw new RoutingException(
            $"{call.Where}: the auction did not converge within {limit} rounds, more than prices can rise; look for router scores over many magnitudes");
    }

    /// <summary>The best tokens of a worker, best first, of equals the lowest: sorted as one word of value and place.</summary>
    static int[] Best(float[,] value, int worker, int count)
    {
        var keys = new ulong[value.GetLength(1)];
        for (var t = 0; t < keys.Length; t++)
        {
            // Ascending in the word is descending in the value; adding 0 makes −0 a 0, and NaN comes last.
            var bits = BitConverter.SingleToUInt32Bits(value[worker, t] + 0f);
            var descending = float.IsNaN(value[worker, t]) ? uint.MaxValue : (int)bits < 0 ? bits : 0x7fffffff - bits;
            keys[t] = (ulong)descending << 32 | (uint)t;
        }
        Array.Sort(keys);
        return [.. keys.AsSpan(0, Math.Min(count, keys.Length)).ToArray().Select(k => (int)(uint)k)];
    }
}
