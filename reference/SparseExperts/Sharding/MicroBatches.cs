namespace SparseExperts.Sharding;

/// <summary>
/// Shards that are run one after the other on one tape: micro-batches of equally many sequences, whose activations need not be in memory together. What
/// is summed over tokens for a gradient is kept as partial sums of <see cref="SumTree"/> and reaches its gradient with the last micro-batch; an expert's
/// chain just goes on, because its rows come in the order of the batch. If the number of micro-batches is a power of 2, those are the bits of the batch in
/// one. Numbers that losses pool over the batch are heard before: in a survey, a forward pass of every micro-batch of which nothing else is kept. Where
/// nobody has surveyed, the others count as like this one until they come, which is right for what all have alike, and for sums that only the value of a
/// loss contains: that is complete with the last.
/// </summary>
public sealed class MicroBatches : IShards
{
    enum Phase { Survey, Run, After }

    readonly IBackend _backend;
    readonly int _each, _count;
    readonly SumTree _tree;
    readonly List<Array?[]> _gathered = [];
    readonly List<Stack<Matrix>> _sums = [];
    int _index, _nextSum;
    bool _surveyed;
    Phase _phase;

    /// <param name="sequences">Of the batch; a multiple of <paramref name="count"/>.</param>
    /// <param name="count">Micro-batches.</param>
    public MicroBatches(IBackend backend, int sequences, int count)
    {
        if (sequences % count != 0) throw new ArgumentException($"{sequences} sequences in {count} micro-batches: they do not divide", nameof(count));
        (_backend, _each, _count, _tree) = (backend, sequences / count, count, new(count, 1));
        Tree = (count, [.. Enumerable.Range(0, count).Select(m => (m, 1))]);
    }

    public (int First, int Count, int Total) Sequences => (_index * _each, _each, _each * _count);
    public (int Total, IReadOnlyList<(int First, int Count)> Runs) Tree { get; }

    /// <summary>Whether gradients and sums are complete with the micro-batch that is running.</summary>
    public bool IsLast => _index == _count - 1;

    /// <summary>Whether the pass is only heard.</summary>
    internal bool IsSurvey => _phase == Phase.Survey;

    /// <summary>The next question to the others, by number.</summary>
    internal int Next { get; set; }

    /// <summary>Forgets the step before.</summary>
    public void Clear()
    {
        foreach (var matrix in _sums.SelectMany(pending => pending)) _backend.Return(matrix.Storage);
        _sums.Clear();
        _gathered.Clear();
        _surveyed = false;
    }

    /// <summary>Micro-batch <paramref name="index"/> runs next, forward alone, to be heard.</summary>
    public void Survey(int index) => Begin(index, Phase.Survey);

    /// <summary>Micro-batch <paramref name="index"/> runs next, forward and backward.</summary>
    public void Run(int index)
    {
        if (_phase == Phase.Survey && index == 0) _surveyed = _gathered.Count > 0;
        Begin(index, Phase.Run);
    }

    /// <summary>What is gathered from now on is what the routers learn from the step.</summary>
    public void AfterStep() => _phase = Phase.After;

    void Begin(int index, Phase phase) => (_index, Next, _nextSum, _phase) = (index, 0, 0, phase);

    public IReadOnlyList<T[]> Gather<T>(T[] own)
    {
        if (Next == _gathered.Count) _gathered.Add(new Array?[_count]);
        var all = _gathered[Next++];
        Check(all, own);
        all[_index] = (T[])own.Clone();
        return [.. all.Select(part => (T[]?)part ?? own)];
    }

    /// <summary>The survey has heard what is said now, and without one, counts are alike.</summary>
    void Check<T>(Array?[] all, T[] own)
    {
        if (_phase != Phase.Run) return;
        var expected = _surveyed ? all[_index] : typeof(T) != typeof(float) ? all.FirstOrDefault(part => part is not null) : null;
        if (expected is T[] before && !before.AsSpan().SequenceEqual(own))
            throw new InvalidOperationException($"micro-batch {_index} of {_count}: what losses pool over the batch was not known before; run another survey");
    }

    /// <summary>
    /// Takes this micro-batch's part of a sum over tokens, of which each micro-batch has as many in the same order. With the last one it returns the whole,
    /// in <paramref name="partial"/>; before that null.
    /// </summary>
    internal Matrix? Sum(Matrix partial)
    {
        if (_nextSum == _sums.Count) _sums.Add([]);
        var pending = _sums[_nextSum++];
        if (pending.TryPeek(out var lower) && (lower.Rows, lower.Columns) != (partial.Rows, partial.Columns))
            throw new InvalidOperationException($"micro-batch {_index} of {_count}: a {partial.Shape} sum in the place of a {lower.Shape} one");
        for (var joins = _tree[_index].Joins; joins > 0; joins--)
        {
            var half = pending.Pop();
            _backend.Add(half, partial, partial);
            _backend.Return(half.Storage);
        }
        if (IsLast) return partial;
        var kept = _backend.Rent(partial.Rows, partial.Columns);
        _backend.Copy(partial, kept);
        pending.Push(kept);
        return null;
    }
}
