using System.Runtime.ExceptionServices;

namespace SparseExperts.Sharding;

/// <summary>Shards on threads of one process, each with a backend of its own.</summary>
public sealed class ThreadShards : IShards
{
    readonly Meeting _meeting;
    readonly int _index;

    ThreadShards(Meeting meeting, int index, IReadOnlyList<(int First, int Count)> runs, int total) =>
        (_meeting, _index, Tree, Sequences) = (meeting, index, (total, runs), (runs[index].First, runs[index].Count, total));

    public (int First, int Count, int Total) Sequences { get; }
    public (int Total, IReadOnlyList<(int First, int Count)> Runs) Tree { get; }

    public IReadOnlyList<T[]> Gather<T>(T[] own) => _meeting.Exchange(_index, own).Cast<T[]>().ToArray();

    /// <summary>
    /// Runs <paramref name="body"/> on 2^<paramref name="level"/> shards of a batch of so many sequences, fewer if there are not as many, and returns their
    /// results in order. The first failure of a shard ends all of them.
    /// </summary>
    public static T[] Run<T>(int sequences, int level, Func<IShards, T> body)
    {
        var runs = SumTree.Shards(sequences, level);
        var results = new T[runs.Count];
        using var meeting = new Meeting(runs.Count);
        ExceptionDispatchInfo? failure = null;
        Thread[] threads = [.. runs.Select((_, i) => new Thread(() =>
        {
            try
            {
                results[i] = body(new ThreadShards(meeting, i, runs, sequences));
            }
            catch (Exception e)
            {
                if (e is not OperationCanceledException) Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(e), null);
                meeting.Cancel();
            }
        })
        { Name = $"shard-{i}" })];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        failure?.Throw();
        return results;
    }

    /// <summary>Where all shards lay down an array and take up everybody's.</summary>
    sealed class Meeting(int count) : IDisposable
    {
        readonly Barrier _barrier = new(count);
        readonly CancellationTokenSource _ended = new();
        Array[] _laid = new Array[count];

        public Array[] Exchange(int index, Array own)
        {
            _laid[index] = (Array)own.Clone();
            _barrier.SignalAndWait(_ended.Token);
            var all = _laid;
            _barrier.SignalAndWait(_ended.Token);
            if (index == 0) _laid = new Array[count];
            _barrier.SignalAndWait(_ended.Token);
            return all;
        }

        public void Cancel() => _ended.Cancel();

        public void Dispose()
        {
            _barrier.Dispose();
            _ended.Dispose();
        }
    }
}
