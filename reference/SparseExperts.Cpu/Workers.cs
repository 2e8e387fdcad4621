using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace SparseExperts.Cpu;

/// <summary>A piece of work that is done in independent parts.</summary>
interface IJob { void Run(int part); }

/// <summary>
/// Fork and join over persistent threads. A worker spins for a moment before it sleeps, because the ops of a small model follow each
/// other within microseconds. Parts are taken one by one; since they never share an output, who takes which does not matter.
/// </summary>
sealed unsafe class Workers : IDisposable
{
    const int PatientSpins = 2000;
    static readonly long SpinTicks = Stopwatch.Frequency / 4000;      // 250 µs

    readonly Thread[] _threads;
    readonly SemaphoreSlim _wake = new(0);
    delegate*<void*, int, void> _call;
    void* _job;
    int _parts, _next, _sleeping;
    volatile int _generation, _running;
    volatile bool _stop;

    public Workers(int threads)
    {
        Count = Math.Max(1, threads);
        _threads = [.. Enumerable.Range(1, Count - 1).Select(i => new Thread(Serve) { IsBackground = true, Name = $"cpu-worker-{i}" })];
        foreach (var thread in _threads) thread.Start();
    }

    public int Count { get; }

    /// <summary>Runs parts 0…parts−1 and returns when all are done.</summary>
    public void Run<TJob>(int parts, TJob job) where TJob : unmanaged, IJob
    {
        if (parts <= 1 || Count == 1)
        {
            for (var part = 0; part < parts; part++) job.Run(part);
            return;
        }
        _call = &Invoke<TJob>;
        _job = &job;
        _parts = parts;
        Volatile.Write(ref _next, 0);
        _running = _threads.Length;
        _generation++;
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _sleeping) is > 0 and var asleep) _wake.Release(asleep);
        TakeParts();
        for (var spins = 0; _running != 0; spins++)
        {
            if (spins < PatientSpins) Thread.SpinWait(1);
            else Thread.Yield();                                    // the other thread waits for a processor: let it have this one
        }
    }

    static void Invoke<TJob>(void* job, int part) where TJob : unmanaged, IJob => Unsafe.AsRef<TJob>(job).Run(part);

    void TakeParts()
    {
        for (int part; (part = Interlocked.Increment(ref _next) - 1) < _parts;) _call(_job, part);
    }

    void Serve()
    {
        for (var seen = 0; ;)
        {
            var start = Stopwatch.GetTimestamp();
            for (var spins = 1; _generation == seen && !_stop; spins++)
            {
                Thread.SpinWait(8);
                if (spins % 256 == 0) Thread.Yield();
                if (spins % 64 == 0 && Stopwatch.GetTimestamp() - start > SpinTicks) { Sleep(seen); start = Stopwatch.GetTimestamp(); }
            }
            if (_stop) return;
            seen = _generation;
            TakeParts();
            Interlocked.Decrement(ref _running);
        }
    }

    void Sleep(int seen)
    {
        Interlocked.Increment(ref _sleeping);
        if (_generation == seen && !_stop) _wake.Wait();
        Interlocked.Decrement(ref _sleeping);
    }

    public void Dispose()
    {
        _stop = true;
        _wake.Release(Count);
        foreach (var thread in _threads) thread.Join();
        _wake.Dispose();
    }
}
