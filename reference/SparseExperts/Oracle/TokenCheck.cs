using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Tokens in slots where tokens chose: the same facts as claimed experts and claimed slots, so that the same rules of rounding and of open ties hold.
/// A choice that was dropped cannot be seen there.
/// </summary>
static class TokenCheck
{
    /// <summary>
    /// The choices that the claim shows, others as expected: an expert that a token sits in without having been expected to takes the place of the
    /// invisible choice whose number lies nearest.
    /// </summary>
    public static Choices Shown(RouterCall call, Choices expected, CaseTensor claim)
    {
        int k = expected.K, slots = claim.Size(-1);
        int[] expert = (int[])expected.Expert.Clone(), candidate = (int[])expected.Candidate.Clone();
        var seats = SeatsOf(call, claim.Integers, slots);
        var isOther = false;
        for (var t = 0; t < call.Tokens; t++)
        {
            var row = expert.AsSpan(t * k, k);
            foreach (var seat in seats[t])
            {
                if (row.Contains(seat)) continue;
                var place = -1;
                double Number(int j, int e) => expected.Rankings.Count == 0 ? 0 : expected.RankingOf(j).Row(t)[Math.Max(0, e)];
                double Distance(int j) => Math.Abs(Number(j, seat) - Number(j, expected.Candidate[t * k + j]));
                for (var j = 0; j < k; j++)
                    if (!seats[t].Contains(row[j]) && (place < 0 || Distance(j) < Distance(place))) place = j;
                if (place < 0) continue;
                row[place] = candidate[t * k + place] = seat;
                isOther = true;
            }
        }
        return isOther ? expected with { Expert = expert, Candidate = candidate, Slot = [] } : expected;
    }

    /// <param name="shown">The choices that the claim shows, or those that are claimed.</param>
    /// <param name="areClaimed">The choices are claimed, and checked by themselves.</param>
    /// <param name="own">The plan that the dialect makes of them.</param>
    public static StageVerdict Run(RouterCall call, RouterNumbers numbers, Choices expected, Choices shown, bool areClaimed, Numbers priority,
        RoutingPlan own, ClaimedPlan claimed, CaseTensor claim)
    {
        int capacity = own.Capacity, slots = claim.Size(-1), k = shown.K;
        int[] wanted = claimed.TokensInSlots(own, slots), tokens = claim.Integers;
        var wrong = Enumerable.Range(0, tokens.Length).Where(i => tokens[i] != wanted[i]).ToArray();
        Difference First(int i) => new(i, tokens[i], wanted[i], double.NaN, double.NaN, wrong.Length, tokens.Length);
        StageVerdict Says(Outcome outcome) => new("token", outcome, wrong.Length == 0 ? null : First(wrong[0]));

        // Who chose whom.
        var outcome = Outcome.Agrees;
        for (var t = 0; t < call.Tokens && !areClaimed; t++)
        {
            var row = shown.Expert.AsSpan(t * k, k).ToArray();
            if (row.AsSpan().SequenceEqual(expected.Expert.AsSpan(t * k, k))) continue;
            if (!SelectionCheck.Allows(call, numbers, expected, t, row)) return Says(Outcome.Differs);
            outcome = Outcome.Undecided;
        }
        if (wrong.Length == 0) return outcome == Outcome.Agrees ? new("token", outcome) : Says(outcome);

        // Who sits where.
        var slot = claimed.SlotsOfTokens(shown, claim);
        var isReadable = claimed.TokensInSlots(claimed.PlanOf(shown, slot, capacity), slots).AsSpan().SequenceEqual(tokens);
        var seated = isReadable ? SlotCheck.Run(call, shown, numbers, priority, own, slot, capacity).Outcome : Outcome.Differs;
        if (seated == Outcome.Agrees) return outcome == Outcome.Agrees ? new("token", outcome) : Says(outcome);
        // A choice that cannot be seen may be another one than expected, which then found its expert full.
        var seats = new int[call.Groups * call.Experts];
        for (var i = 0; i < tokens.Length; i++) seats[i / slots] += tokens[i] >= 0 ? 1 : 0;
        bool IsFull(int t, int expert) => seats[t / call.Size * call.Experts + expert] >= capacity;
        bool MayHaveAskedAnother(int t) => IsHidden(shown, slot, t) && SelectionCheck.Alternatives(call, numbers, expected, t).Any(e => IsFull(t, e));
        var hidden = isReadable && !areClaimed && Enumerable.Range(0, call.Tokens).Any(MayHaveAskedAnother);
        return Says(hidden ? Outcome.Undecided : seated);
    }

    static bool IsHidden(Choices shown, int[] slot, int token)
    {
        for (var i = token * shown.K; i < (token + 1) * shown.K; i++)
            if (shown.Expert[i] >= 0 && slot[i] < 0) return true;
        return false;
    }

    /// <summary>Experts that each token sits with.</summary>
    static List<int>[] SeatsOf(RouterCall call, int[] tokens, int slots)
    {
        List<int>[] seats = [.. Enumerable.Range(0, call.Tokens).Select(_ => new List<int>())];
        for (var i = 0; i < tokens.Length; i++)
        {
            if (tokens[i] < 0) continue;
            var expert = i / slots % call.Experts;
            var of = seats[i / slots / call.Experts * call.Size + tokens[i]];
            if (!of.Contains(expert)) of.Add(expert);
        }
        return seats;
    }
}
