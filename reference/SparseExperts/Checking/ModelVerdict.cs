using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>The result for one block, or for one gradient, loss or step.</summary>
/// <param name="Claims">What was compared.</param>
public sealed record BlockVerdict(string Name, IReadOnlyList<ClaimVerdict> Claims)
{
    public Outcome Outcome => Claims.Count == 0 ? Outcome.NotClaimed
        : Claims.Any(c => c.Outcome == Outcome.Differs) ? Outcome.Differs
        : Claims.Any(c => c.Outcome == Outcome.Undecided) ? Outcome.Undecided : Outcome.Agrees;

    /// <summary>The claim that departs first, else the one that lies farthest out.</summary>
    public ClaimVerdict? Worst => Claims.FirstOrDefault(c => c.Outcome == Outcome.Differs) ?? Claims.MaxBy(c => c.Ratio);
}

/// <summary>All blocks in forward order, then losses, then gradients by tensor name.</summary>
/// <param name="Cause">What the first block that departs does instead; null where nothing that was tried reproduces it.</param>
public sealed record ModelVerdict(IReadOnlyList<BlockVerdict> Blocks, string? Cause = null)
{
    /// <summary>Which version of the library was held to, where the one that recorded has another rule than the one that wrote the checkpoint.</summary>
    public IReadOnlyList<string> HeldTo { get; init; } = [];

    /// <summary>Tensors that were recorded and that nothing was compared with or computed from, by name.</summary>
    public IReadOnlyList<string> NotCompared { get; init; } = [];

    /// <summary>Trained tensors whose gradients, or whose values after training, were not recorded.</summary>
    public IReadOnlyList<string> NotRecorded { get; init; } = [];

    /// <summary>The first that departs.</summary>
    public BlockVerdict? First => Blocks.FirstOrDefault(b => b.Outcome == Outcome.Differs);

    public Outcome Outcome => First is not null ? Outcome.Differs
        : Blocks.Any(b => b.Outcome == Outcome.Undecided) ? Outcome.Undecided : Outcome.Agrees;

    /// <summary>One verdict after the other; the first cause counts.</summary>
    public static ModelVerdict Join(IEnumerable<ModelVerdict> parts)
    {
        ModelVerdict[] all = [.. parts];
        return new([.. all.SelectMany(p => p.Blocks)], all.FirstOrDefault(p => p.First is not null)?.Cause)
        {
            HeldTo = [.. all.SelectMany(p => p.HeldTo).Distinct()],
            NotCompared = [.. all.SelectMany(p => p.NotCompared)],
            NotRecorded = [.. all.SelectMany(p => p.NotRecorded)],
        };
    }
}
