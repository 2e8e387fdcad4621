using System.Diagnostics;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator;

/// <summary>Work that was given to a stream and has not run, in order; or, while it captures, what is recorded.</summary>
sealed class WorkQueue
{
    public readonly Queue<Action> Pending = new();
    public List<Action>? Captured;
}

/// <summary>Work that runs as one; of what was made of launches, the kernel of each.</summary>
sealed record Graph(List<Action> Work, List<PtxKernel> Kernels);

/// <summary>A mark in a stream. Whoever waits for it waits for the last record that was given before.</summary>
sealed class Mark
{
    /// <summary>How often it was given to a stream, and how often it was passed.</summary>
    public long Recorded, Passed;
    public WorkQueue? Stream;
    public long Ticks;
}

/// <summary>
/// Streams that run nothing until somebody waits, so that a wait that is missing shows. A stream that waits for an event of another one has that one
/// run up to it.
/// </summary>
sealed class Streams
{
    readonly List<WorkQueue> _running = [];

    public void Give(WorkQueue stream, Action work)
    {
        if (stream.Captured is { } captured) captured.Add(work);
        else stream.Pending.Enqueue(work);
    }

    /// <summary>Runs all that was given.</summary>
    public void Run(WorkQueue stream) => RunUntil(stream, () => false);

    public void Record(WorkQueue stream, Mark mark)
    {
        var number = ++mark.Recorded;
        mark.Stream = stream;
        Give(stream, () =>
        {
            mark.Ticks = Stopwatch.GetTimestamp();
            mark.Passed = Math.Max(mark.Passed, number);
        });
    }

    public void Wait(WorkQueue stream, Mark mark)
    {
        var (number, other) = (mark.Recorded, mark.Stream);
        if (other is null || other == stream) return;
        Give(stream, () => RunUntil(other, () => mark.Passed >= number));
    }

    public void RunUntil(WorkQueue stream, Func<bool> reached)
    {
        if (_running.Contains(stream)) throw new CudaFault("streams wait for each other in a circle");
        _running.Add(stream);
        try
        {
            while (!reached() && stream.Pending.TryDequeue(out var work)) work();
        }
        finally { _running.Remove(stream); }
    }
}
