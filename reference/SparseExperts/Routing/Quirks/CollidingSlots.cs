namespace SparseExperts.Routing.Quirks;

/// <summary>
/// Hetu's slots: choice j counts from the requests of the last choice instead of the one before, so that two tokens can meet
/// (hetu TopGate.py).
/// </summary>
static class CollidingSlots
{
    public static void Serve(RouterCall call, Choices choices, int capacity, int group, int[] slot)
    {
        var k = choices.K;
        var last = new int[call.Experts];
        for (var t = group * call.Size; t < (group + 1) * call.Size; t++)
            if (choices.Expert[t * k + k - 1] is >= 0 and var e) last[e]++;
        for (var j = 0; j < k; j++)
        {
            var asked = j == 0 ? new int[call.Experts] : (int[])last.Clone();
            for (var t = group * call.Size; t < (group + 1) * call.Size; t++)
                if (choices.Expert[t * k + j] is >= 0 and var e && asked[e]++ is var place && place < capacity) slot[t * k + j] = place;
        }
    }
}
