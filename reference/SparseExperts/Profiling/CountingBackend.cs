using System.Diagnostics;
using SparseExperts.Autograd;
using CallerMemberName = System.Runtime.CompilerServices.CallerMemberNameAttribute;

namespace SparseExperts.Profiling;

/// <summary>
/// Hands every call to another backend and keeps count: calls, time and bytes by kernel and by who asked, and the memory that is rented. What is
/// computed does not change.
/// </summary>
/// <param name="inner">What computes. It is disposed of with this one.</param>
/// <param name="waits">
/// Whether a call lasts until its result is there, by reading one number of it: without, a backend that works while the caller goes on is charged
/// where somebody waits. Waiting takes away what such a backend gains by it, so that the sum is longer than a step that is not watched.
/// </param>
public sealed partial class CountingBackend(IBackend inner, bool waits = false) : IBackend, IRouting, IErrorBounds, IKnowsCaller
{
    readonly Dictionary<CallKey, CallTotals> _calls = [];
    readonly float[] _one = new float[1];

    public CallSite Site { get; } = new();

    /// <summary>Whether calls are waited for.</summary>
    public bool Waits { get; } = waits;

    /// <summary>Everything since the last <see cref="Clear"/>.</summary>
    public IReadOnlyDictionary<CallKey, CallTotals> Calls => _calls;

    /// <summary>Storages asked of the pool since the last <see cref="Clear"/>.</summary>
    public long Rents { get; private set; }

    /// <summary>Bytes rented and not given back.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>The most that was live at once since the last <see cref="Clear"/>.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Counts from 0; what is rented stays so.</summary>
    public void Clear()
    {
        _calls.Clear();
        (Rents, PeakBytes) = (0, LiveBytes);
    }

    /// <summary>What computes; its counts serve one thread at a time.</summary>
    public BackendInfo Info { get; } = inner.Info with { ServesThreads = false };
    public IDisposable Exactly() => inner.Exactly();
    public IDisposable Repeated() => inner.Repeated();

    /// <summary>The inner backend's planner, counted; null where it has none.</summary>
    public IRouting? Routing => inner.Routing is null ? null : this;

    /// <summary>A question that a device answers when its work is done; how many bytes that takes is its own affair.</summary>
    public IndexFault? TakeFault()
    {
        using var call = new Call(this, nameof(TakeFault), 0, 0, null);
        return inner.TakeFault();
    }

    public bool CarriesBounds => inner is IErrorBounds { CarriesBounds: true };

    public Storage Rent(ElementType type, long length)
    {
        var storage = inner.Rent(type, length);
        Rents++;
        LiveBytes += storage.Length * storage.Type.Bytes();
        PeakBytes = Math.Max(PeakBytes, LiveBytes);
        return storage;
    }

    public void Return(Storage storage)
    {
        inner.Return(storage);
        LiveBytes -= storage.Length * storage.Type.Bytes();
    }

    public void Dispose() => inner.Dispose();

    static long Bytes(Matrix matrix) => matrix.Count * matrix.Type.Bytes();
    static long Bytes(in AttentionTerms terms) => Bytes(terms.Bias) + Bytes(terms.Pad) + Bytes(terms.Sinks);
    static long Bytes(Matrix? matrix) => matrix is { } m ? Bytes(m) : 0;
    static long Bytes(Indices? indices) => indices is { } i ? (long)i.Count * i.Storage.Type.Bytes() : 0;

    /// <summary>A call that lasts until disposal and ends with <paramref name="result"/>; where it adds, it reads that as well.</summary>
    Call Begin(long reads, Matrix result, bool adds = false, [CallerMemberName] string kernel = "") =>
        new(this, kernel, reads + (adds ? Bytes(result) : 0), Bytes(result), result);

    /// <summary>A call with several results, of which <paramref name="result"/> is the last.</summary>
    Call Begin(long reads, long writes, Matrix? result, [CallerMemberName] string kernel = "") => new(this, kernel, reads, writes, result);

    /// <summary>One call of the inner backend.</summary>
    readonly ref struct Call(CountingBackend counter, string kernel, long reads, long writes, Matrix? result)
    {
        readonly long _start = Stopwatch.GetTimestamp();

        public void Dispose()
        {
            if (counter.Waits && result is { Count: > 0 } end) counter.Wait(end);
            counter.Count(kernel, Stopwatch.GetElapsedTime(_start), reads, writes);
        }
    }

    void Wait(Matrix result) => inner.Read(result.Storage, result.Offset, _one);

    void Count(string kernel, TimeSpan time, long reads, long writes)
    {
        var key = new CallKey(kernel, Site.Op, Site.Path, Site.Activity);
        if (!_calls.TryGetValue(key, out var totals)) _calls[key] = totals = new();
        totals.Calls++;
        totals.Time += time;
        totals.BytesRead += reads;
        totals.BytesWritten += writes;
    }
}
