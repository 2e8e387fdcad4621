using SparseExperts.Sharding;

namespace SparseExperts.Autograd;

/// <summary>Sums over tokens, of this tape's shard or of all.</summary>
public sealed partial class Tape
{
    public IShards? Shards { get; internal set; } = shards;

    MicroBatches? Micro => Shards as MicroBatches;

    /// <summary>Whether a further micro-batch adds to the gradients of the one that runs.</summary>
    internal bool AwaitsMore => Micro is { IsLast: false };

    /// <summary>
    /// Writes or adds a sum over tokens into <paramref name="target"/>'s gradient: <paramref name="sum"/> is given a destination and whether to add.
    /// With shards it is the sum over their tokens too.
    /// </summary>
    /// <param name="sequence">Rows of a sequence; 0 where rows are no tokens, so that every shard has them all.</param>
    internal void SumOverTokens(Tensor target, int sequence, Action<Matrix, bool> sum)
    {
        if (Shards is null || sequence == 0)
        {
            sum(target.GradientTarget(out var add), add);
            return;
        }
        var partial = Rent(target.Rows, target.Columns);
        sum(partial, false);
        AddOverTokens(partial, target, sequence);
    }

    /// <summary>
    /// Whether an op that sums for several parameters may write or add to all their gradients itself: nobody else has tokens, and all of them are there or
    /// none.
    /// </summary>
    internal bool SumsAtOnce(int sequence, params ReadOnlySpan<Tensor> targets)
    {
        if (Shards is not null && sequence > 0) return false;
        foreach (var target in targets)
            if (!target.RequiresGradient || target.HasGradient != targets[0].HasGradient) return false;
        return true;
    }

    /// <summary>Adds a sum over this shard's tokens, joined with those of the others, to a gradient.</summary>
    internal void AddOverTokens(Matrix partial, Tensor target, int sequence)
    {
        if (!target.RequiresGradient) return;
        if (sequence > 0)
        {
            if (Micro is { } micro && micro.Sum(partial) is null) return;
            if (Micro is null) Join(partial);
        }
        var gradient = target.GradientTarget(out var add);
        if (add) Backend.Add(gradient, partial, gradient);
        else Backend.Copy(partial, gradient);
    }

    /// <summary>Whether dropouts drop: not while evaluating, where nothing is recorded, but in the survey of micro-batches, which is training.</summary>
    internal bool Drops => Recording || Micro is { IsSurvey: true };

    /// <summary>A sum over this shard's tokens becomes the sum over those of all.</summary>
    internal void Join(Matrix partial)
    {
        if (Shards is null) return;
        var numbers = Backend.ToArray(partial);
        Shards.Join(numbers);
        Backend.Write(partial, (ReadOnlySpan<float>)numbers);
    }

    /// <summary>
    /// A forward sum over tokens: of each part by itself and over all shards, then one after the other. <paramref name="sum"/> is given a part's rows and a
    /// destination.
    /// </summary>
    internal Matrix SumOfParts(Tensor x, int columns, Action<Matrix, Matrix> sum)
    {
        Matrix parts = Rent(x.Parts, columns), whole = parts.RowRange(0, 1);
        for (var p = 0; p < x.Parts; p++) sum(x.Value.RowRange(p * (x.Rows / x.Parts), x.Rows / x.Parts), parts.RowRange(p, 1));
        if (x.Sequence > 0) Join(parts);
        for (var p = 1; p < x.Parts; p++) Backend.Add(whole, parts.RowRange(p, 1), whole);
        return whole;
    }

    /// <summary>Whether X has the tokens of the whole batch, once: a sum over its rows is nobody's part.</summary>
    internal bool HasWhole(Tensor x) => x.Parts == 1 && (Shards is null || x.Sequence == 0);

    /// <summary>The place of this shard's first token in the batch.</summary>
    internal long FirstToken(int sequence) => (long)(Shards?.Sequences.First ?? 0) * sequence;

    /// <summary>A count over the tokens of all shards.</summary>
    internal int Total(int count) => Shards?.Total(count) ?? count;

    /// <summary>Counts over the tokens of all shards.</summary>
    internal double[] Total(double[] counts) => Shards?.Total(counts) ?? counts;

    /// <summary>Numbers of all shards' tokens, in the order of the batch.</summary>
    internal double[] Gather(double[] own) => Shards is null ? own : [.. Shards.Gather(own).SelectMany(part => part)];

    /// <summary>Rows of all shards where rows are tokens, else the rows.</summary>
    internal int TotalRows(Tensor x) => x.Sequence > 0 ? Total(x.Rows) : x.Rows;
}
