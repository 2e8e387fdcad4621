using System.Buffers;

namespace SparseExperts.Cuda;

/// <summary>
/// Rows sorted by the target that their index names: target <see cref="Targets"/>[i] gets the rows <see cref="Order"/>[<see cref="Starts"/>[i]] …
/// <see cref="Order"/>[<see cref="Starts"/>[i + 1] − 1], in ascending order. Targets that no index names are left out, and so are rows whose index names
/// none.
/// </summary>
sealed class RunsOfRows
{
    public readonly int[] Targets, Starts, Order;
    public int Count => Targets.Length;

    public RunsOfRows(ReadOnlySpan<int> index, int targets)
    {
        var counts = ArrayPool<int>.Shared.Rent(targets);
        Array.Clear(counts, 0, targets);
        int named = 0, rows = 0;
        foreach (var target in index)
        {
            if ((uint)target >= (uint)targets) continue;
            rows++;
            if (counts[target]++ == 0) named++;
        }
        (Targets, Starts, Order) = (new int[named], new int[named + 1], new int[rows]);

        var next = counts;                                       // from how many rows a target has to where its next one goes
        for (int target = 0, run = 0; target < targets; target++)
        {
            if (counts[target] == 0) continue;
            Targets[run] = target;
            Starts[run + 1] = Starts[run] + counts[target];
            next[target] = Starts[run++];
        }
        for (var row = 0; row < index.Length; row++)
            if ((uint)index[row] < (uint)targets) Order[next[index[row]]++] = row;
        ArrayPool<int>.Shared.Return(counts);
    }
}

/// <summary>
/// The runs of every target cut at the blocks of a <see cref="SumTree"/>: run i has the rows Order[<see cref="Starts"/>[i]] … of one block, target t the
/// runs <see cref="Firsts"/>[t] … <see cref="Firsts"/>[t + 1] − 1, and <see cref="Joins"/>[i] halves are complete with run i. A half without any row of
/// the target would add 0 to a sum that is not −0, and is left out.
/// </summary>
sealed class RunsOfBlocks
{
    readonly List<int> _starts = [], _joins = [];
    readonly int[] _order;

    public readonly int[] Firsts, Starts, Joins;
    public int Count => Joins.Length;

    public RunsOfBlocks(RunsOfRows targets, SumTree tree)
    {
        _order = targets.Order;
        Firsts = new int[targets.Count + 1];
        for (var t = 0; t < targets.Count; t++)
        {
            Cut(tree.Root, targets.Starts[t], targets.Starts[t + 1]);
            Firsts[t + 1] = _joins.Count;
        }
        Starts = [.. _starts, _order.Length];
        Joins = [.. _joins];
    }

    /// <summary>Rows Order[from … to − 1], at least one and all within <paramref name="node"/>.</summary>
    void Cut(SumNode node, int from, int to)
    {
        while (!node.IsBlock && to - from > 1)
        {
            var right = node.Right;
            var middle = from;
            while (middle < to && _order[middle] < right.Start) middle++;
            if (middle == to) node = node.Left;
            else if (middle == from) node = right;
            else
            {
                Cut(node.Left, from, middle);
                Cut(right, middle, to);
                _joins[^1]++;
                return;
            }
        }
        _starts.Add(from);
        _joins.Add(0);
    }
}
