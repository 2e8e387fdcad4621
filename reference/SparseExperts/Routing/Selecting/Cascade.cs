namespace SparseExperts.Routing;

/// <summary>
/// No token left behind: in pass j every token without a place asks its j-th best expert (Mesh-TensorFlow moe.py, _ntlb_gating; Fedus et al.
/// 2022, appendix B).
/// </summary>
static class Cascade
{
    public static Choices Select(RouterCall call, RouterNumbers numbers, int capacity)
    {
        var top = TopK.Select(call, numbers);
        var k = top.K;
        int[] expert = new int[top.Candidate.Length], slot = new int[top.Candidate.Length];
        Array.Fill(expert, -1);
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var g = 0; g < call.Groups; g++)
        {
            var taken = new int[call.Experts];
            for (var j = 0; j < k; j++)
                for (var t = g * call.Size; t < (g + 1) * call.Size; t++)
                {
                    var isRouted = slot.AsSpan(t * k, j).ContainsAnyExcept(RoutingPlan.Dropped);
                    if (isRouted || !call.IsReal(t)) continue;
                    var e = expert[t * k + j] = top.Candidate[t * k + j];
                    if (taken[e] < capacity) slot[t * k + j] = taken[e]++;
                }
        }
        return top with { Expert = expert, Slot = slot };
    }
}
