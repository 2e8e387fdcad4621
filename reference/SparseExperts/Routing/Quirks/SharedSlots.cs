namespace SparseExperts.Routing.Quirks;

/// <summary>
/// Whoever gets no slot shares slot 0 of its expert (lingvo gshard_layers.py HashGatingOnLogits): padding, which asks nobody, sits in that of the expert
/// that it would have asked.
/// </summary>
static class SharedSlots
{
    /// <summary>The experts of a plan, padding's among them; nobody's request changes.</summary>
    public static int[] Experts(RouterCall call, Choices choices) =>
        call.Dialect.DroppedOutput != DroppedOutput.SharedSlot || call.TokenMask.Length == 0
            ? choices.Expert
            : [.. choices.Expert.Select((e, i) => call.IsReal(i / choices.K) ? e : choices.Candidate[i])];

    /// <summary>Padding in its slot.</summary>
    public static void Seat(RouterCall call, Choices choices, int[] slot)
    {
        if (call.Dialect.DroppedOutput != DroppedOutput.SharedSlot) return;
        for (var i = 0; i < slot.Length; i++)
            if (!call.IsReal(i / choices.K) && choices.Candidate[i] >= 0) slot[i] = 0;
    }
}
