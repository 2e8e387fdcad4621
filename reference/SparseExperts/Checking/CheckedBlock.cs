namespace SparseExperts.Checking;

/// <summary>Something that a model may do instead of what is right in a block.</summary>
/// <param name="Sentence">What it is, in plain words.</param>
/// <param name="Run">The block with it.</param>
public sealed record BlockFault(string Sentence, Action<BlockRun> Run)
{
    /// <summary>What models are known to do; else one rule of many, looked at where nothing usual fits.</summary>
    public bool IsUsual { get; init; } = true;
}

/// <summary>A part of a model that recordings know by name: it is computed from its recorded input and compared with its recorded output.</summary>
public abstract class CheckedBlock
{
    /// <summary>As recordings name it: <c>layers.0.self_attn</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Asks for inputs, computes, hands over outputs.</summary>
    public abstract void Run(BlockRun run);

    /// <summary>Usual faults of such a block, likeliest first; looked at only where it departs.</summary>
    public virtual IEnumerable<BlockFault> Faults(Recording recording) => [];
}
