using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace SparseExperts.Cpu;

/// <summary>A piece of work that is done in independent parts.</summary>
interface IJob { void Run(int part); }

/// <summary>
/// Fork and join over persistent threads. Parts are taken one by one, and the caller takes them too, so a worker that gets no processor
/// delays nobody. A worker spins for a moment before it sleeps, because the ops of a small model follow each other within microseconds.
/// Since parts never share an output, who takes which does not matter.
/// </summary>
sealed unsafe class Workers : IDisposable
{
    const int PatientSpins = 2000;
    static readonly long SpinTicks = Stopwatch.Frequency / 4000;      // 250 µs

    readonly Thread[] _threads;
    readonly object _gate = new();
    delegate*<void*, int, void> _call;
    void* _job;
    int _parts, _done, _sleeping, _busy;
    long _ticket;               // number of the job in the upper half, the next part in the lower
    volatile bool _stop;

    public Workers(int threads)
    {
        Count = Math.Max(1, threads);
        _threads = [.. Enumerable.Range(1, Count - 1).Select(i => new Thread(Serve) { IsBackground = true, Name = $"cpu-worker-{i}" })];
        foreach (var thread in _threads) thread.Start();
    }

    public int Count { get; }

    /// <summary>Runs parts 0…parts−1 and returns when all are done.</summary>
    /// <exception cref="InvalidOperationException">Another thread's job is under way.</exception>
    public void Run<TJob>(int parts, TJob job) where TJob : unmanaged, IJob
    {
        if (Interlocked.Exchange(ref _busy, 1) != 0)
            throw new InvalidOperationException("two threads use one backend 'cpu' at the same time; give each thread a backend of its own");
        try
        {
            Share(parts, job);
        }
        finally
        {
            Volatile.Write(ref _busy, 0);
        }
    }

    void Share<TJob>(int parts, TJob job) where TJob : unmanaged, IJob
    {
        if (parts <= 1 || Count == 1)
        {
            for (var part = 0; part < parts; part++) job.Run(part);
            return;
        }
        _call = &Invoke<TJob>;
        _job = &job;
        _parts = parts;
        _done = 0;
        var number = Number(_ticket) + 1;
        Interlocked.Exchange(ref _ticket, (long)number << 32);      // opens the job; a full fence, so a worker about to sleep sees it or is seen
        if (Volatile.Read(ref _sleeping) > 0) Wake();
        TakeParts(number);
        for (var spins = 0; Volatile.Read(ref _done) != parts; spins++)
        {
            if (spins < PatientSpins) Thread.SpinWait(1);
            else Thread.Yield();                                    // the other thread waits for a processor: let it have this one
        }
        Interlocked.Exchange(ref _ticket, ((long)number << 32) | int.MaxValue);     // closes it: who comes late finds no part
    }

    static void Invoke<TJob>(void* job, int part) where TJob : unmanaged, IJob => Unsafe.AsRef<TJob>(job).Run(part);

    static int Number(long ticket) => (int)(ticket >> 32);

    /// <summary>Takes parts of one job as long as there are any. The exchange fails when the job was closed in between.</summary>
    void TakeParts(int number)
    {
        while (Volatile.Read(ref _ticket) is var ticket && Number(ticket) == number && (int)ticket < _parts)
        {
            if (Interlocked.CompareExchange(ref _ticket, ticket + 1, ticket) != ticket) continue;
            _call(_job, (int)ticket);
            Interlocked.Increment(ref _done);
        }
    }

    void Serve()
    {
        for (var seen = 0; ;)
        {
            var start = Stopwatch.GetTimestamp();
            for (var spins = 1; Number(Volatile.Read(ref _ticket)) == seen && !_stop; spins++)
            {
                Thread.SpinWait(8);
                if (spins % 64 == 0 && Stopwatch.GetTimestamp() - start > SpinTicks) Sleep(seen);
            }
            if (_stop) return;
            seen = Number(Volatile.Read(ref _ticket));
            TakeParts(seen);
        }
    }

    void Sleep(int seen)
    {
        Interlocked.Increment(ref _sleeping);                   // a full fence: whoever opens a job after our look at the ticket sees us
        lock (_gate)
            while (Number(Volatile.Read(ref _ticket)) == seen && !_stop) Monitor.Wait(_gate);
        Interlocked.Decrement(ref _sleeping);
    }

    /// <summary>Wakes all sleepers. Not by permits of a semaphore: a worker that is done could take the permit of one that has not woken yet.</summary>
    void Wake()
    {
        lock (_gate) Monitor.PulseAll(_gate);
    }

    public void Dispose()
    {
        _stop = true;
        Wake();
        foreach (var thread in _threads) thread.Join();
    }
}
