using SparseExperts.Autograd;

namespace SparseExperts.Profiling;

/// <summary>What was called from where.</summary>
/// <param name="Kernel">The contract's op: <c>Gemm</c>.</param>
/// <param name="Op">The tape's op that asked: <c>Linear</c>; empty outside of any.</param>
/// <param name="Path">Part of the model: <c>blocks.1.experts</c>.</param>
public readonly record struct CallKey(string Kernel, string Op, string Path, Activity Activity);

/// <summary>Calls of one kind, added up.</summary>
public sealed record CallTotals
{
    public long Calls { get; internal set; }
    public TimeSpan Time { get; internal set; }

    /// <summary>Bytes that the call's arguments make it read, at four a number: what it must move at least, not what caches moved.</summary>
    public long BytesRead { get; internal set; }
    public long BytesWritten { get; internal set; }
}
