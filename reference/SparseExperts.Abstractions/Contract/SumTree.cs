namespace SparseExperts;

/// <summary>
/// The one order in which numbers of many tokens are added (docs/numerics.md, N2). Rows are tokens, sequence by sequence. A block starts at
/// every sequence start and has at most <see cref="Block"/> rows; inside it the sum is one chain from 0 in ascending order. The blocks of a
/// sequence are halved, the first half the larger, until one is left, and so are the sequences: halves are added. Since a run of whole
/// sequences that such halving gives is a subtree, shards that sum their own sequences and add along the same halves have the bits of the whole.
/// </summary>
/// <param name="Rows">Number of rows.</param>
/// <param name="Sequence">Rows of a sequence; the last may be shorter. 0 where rows are no tokens: one chain.</param>
/// <param name="Block">Rows of a block at most.</param>
public readonly record struct SumTree(int Rows, int Sequence, int Block = SumTree.TokenBlock)
{
    /// <summary>Tokens of a block.</summary>
    public const int TokenBlock = 128;

    /// <summary>Terms of a block in a matrix product.</summary>
    public const int ProductBlock = 256;

    /// <summary>The order of a matrix product's sum along k.</summary>
    public static SumTree OfProduct(int depth) => new(depth, Math.Max(1, depth), ProductBlock);

    int Length => Sequence > 0 ? Sequence : Math.Max(1, Rows);
    int BlockRows => Sequence > 0 ? Math.Min(Block, Sequence) : Length;
    int BlocksOfSequence => Blocks(Length, BlockRows);
    int Sequences => Blocks(Rows, Length);

    /// <summary>Number of blocks.</summary>
    public int Leaves => Rows == 0 ? 0 : (Sequences - 1) * BlocksOfSequence + Blocks(Rows - (Sequences - 1) * Length, BlockRows);

    /// <summary>Partial sums that are alive at once, at most.</summary>
    public int Height => Rows == 0 ? 0 : 1 + Depth(Sequences) + Depth(BlocksOfSequence);

    /// <summary>The whole, from which halves lead down to blocks.</summary>
    public SumNode Root => new(this, 0, Sequences, 0, 0);

    /// <summary>
    /// Block <paramref name="leaf"/> in ascending order. Whoever keeps partial sums on a stack pushes the block's and then adds the upper of the two
    /// topmost to the lower, <c>Joins</c> times; after the last block one is left.
    /// </summary>
    public (int Start, int Count, int Joins) this[int leaf]
    {
        get
        {
            int sequence = leaf / BlocksOfSequence, block = leaf % BlocksOfSequence;
            int first = sequence * Length, length = Math.Min(Length, Rows - first), start = block * BlockRows, blocks = Blocks(length, BlockRows);
            var joins = RightTurns(block, blocks) + (block == blocks - 1 ? RightTurns(sequence, Sequences) : 0);
            return (first + start, Math.Min(BlockRows, length - start), joins);
        }
    }

    /// <summary>Sequences of the 2^<paramref name="level"/> subtrees that lie so many halvings below the whole; empty ones are left out.</summary>
    public static IReadOnlyList<(int First, int Count)> Shards(int sequences, int level)
    {
        if (level == 0 || sequences <= 1) return sequences == 0 ? [] : [(0, sequences)];
        var half = FirstHalf(sequences);
        return [.. Shards(half, level - 1), .. Shards(sequences - half, level - 1).Select(s => (s.First + half, s.Count))];
    }

    /// <summary>The sum of the whole from the sums of its shards, each with the run of sequences that it has: halves are added.</summary>
    public static float[] Join(int sequences, IReadOnlyList<((int First, int Count) Run, float[] Sum)> shards)
    {
        return Sum(0, sequences);

        float[] Sum(int first, int count)
        {
            foreach (var shard in shards)
                if (shard.Run == (first, count)) return (float[])shard.Sum.Clone();
            if (count < 2) throw new ArgumentException($"shards: nobody has sequence {first}; cut the batch along SumTree.Shards", nameof(shards));
            float[] left = Sum(first, FirstHalf(count)), right = Sum(first + FirstHalf(count), count - FirstHalf(count));
            for (var i = 0; i < left.Length; i++) left[i] += right[i];
            return left;
        }
    }

    /// <summary>The first of two halves is the larger.</summary>
    internal static int FirstHalf(int count) => (count + 1) / 2;

    internal int StartOf(int sequence, int block) => Math.Min(Rows, sequence * Length + block * BlockRows);
    internal int BlocksOf(int sequence) => Blocks(Math.Min(Length, Rows - sequence * Length), BlockRows);

    static int Blocks(int rows, int size) => (rows + size - 1) / size;

    static int Depth(int count) => count <= 1 ? 0 : 32 - int.LeadingZeroCount(count - 1);

    /// <summary>How many second halves end the way down to one of <paramref name="count"/>.</summary>
    static int RightTurns(int index, int count)
    {
        var turns = 0;
        while (count > 1)
        {
            var half = FirstHalf(count);
            if (index < half) (count, turns) = (half, 0);
            else (index, count, turns) = (index - half, count - half, turns + 1);
        }
        return turns;
    }
}

/// <summary>A run of sequences, or of blocks of one sequence, in a <see cref="SumTree"/>.</summary>
public readonly struct SumNode
{
    readonly SumTree _tree;
    readonly int _sequence, _sequences, _block, _blocks;

    internal SumNode(SumTree tree, int sequence, int sequences, int block, int blocks)
    {
        if (sequences == 1 && blocks == 0) blocks = tree.BlocksOf(sequence);
        (_tree, _sequence, _sequences, _block, _blocks) = (tree, sequence, sequences, block, blocks);
    }

    public bool IsBlock => _sequences <= 1 && _blocks <= 1;

    /// <summary>Its first row.</summary>
    public int Start => _tree.StartOf(_sequence, _block);

    public SumNode Left => _sequences > 1
        ? new(_tree, _sequence, SumTree.FirstHalf(_sequences), 0, 0)
        : new(_tree, _sequence, 1, _block, SumTree.FirstHalf(_blocks));

    public SumNode Right => _sequences > 1
        ? new(_tree, _sequence + SumTree.FirstHalf(_sequences), _sequences - SumTree.FirstHalf(_sequences), 0, 0)
        : new(_tree, _sequence, 1, _block + SumTree.FirstHalf(_blocks), _blocks - SumTree.FirstHalf(_blocks));
}
