namespace SparseExperts.Oracle;

/// <summary>
/// Balance losses that differ in two things at once: what a library calls by one name (Megatron's <c>seq_aux_loss</c>, a loss without padding) is often two
/// axes. Two changes among many give a number by chance more easily than one, so that they are never certain.
/// </summary>
static class BalancePairs
{
    static readonly string[] Axes = ["balance", "balance_count", "balance_mass", "balance_tokens", "balance_scale", "balance_level"];

    public static FoundCauses Find(Case bare, string stage, Departure of, Func<IBackend> backend) => stage is not ("loss.balance" or "loss.total")
        ? FoundCauses.None
        : FoundCauses.Among(bare, [.. Pairs(bare)], faulty => Stage.Cures(faulty, stage, of, backend));

    /// <summary>Likeliest first.</summary>
    static IEnumerable<FaultyCall> Pairs(Case c) =>
        from first in Neighbours.Of(c.Dialect)
        where Axes.Contains(first.Change.Axis)
        from second in Neighbours.Of(first.Dialect)
        where Axes.Contains(second.Change.Axis) && Array.IndexOf(Axes, first.Change.Axis) < Array.IndexOf(Axes, second.Change.Axis)
        orderby Neighbours.Plausibility(c.Dialect, first.Change) + Neighbours.Plausibility(c.Dialect, second.Change) descending
        let cause = new Cause($"{first.Change.Axis}, {second.Change.Axis}", $"{first.Change.Is}, {second.Change.Is}",
            $"as if {first.Change.Axis} = {first.Change.Is} and {second.Change.Axis} = {second.Change.Is}")
        select new FaultyCall(cause with { IsPattern = true }, c.Under(second.Dialect));
}
