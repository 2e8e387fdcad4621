using System.Numerics;
using System.Runtime.InteropServices;

namespace SparseExperts.Cpu;

/// <summary>Native memory aligned to a cache line, with room behind the end so that a size class can be reused.</summary>
sealed unsafe class CpuStorage : Storage
{
    public readonly void* Pointer;
    public readonly int SizeClass;

    CpuStorage(IBackend owner, ElementType type, long length, void* pointer, int sizeClass) : base(owner, type, length)
    {
        Pointer = pointer;
        SizeClass = sizeClass;
    }

    public static CpuStorage Allocate(IBackend owner, ElementType type, long length)
    {
        var sizeClass = ClassOf(type, length);
        return new(owner, type, length, NativeMemory.AlignedAlloc((nuint)(1L << sizeClass) * 4, 64), sizeClass);
    }

    /// <summary>The same memory under another length.</summary>
    public CpuStorage As(ElementType type, long length) => type == Type && length == Length ? this : new(Owner, type, length, Pointer, SizeClass);

    /// <summary>Powers of two from 64 words of four bytes on.</summary>
    public static int ClassOf(ElementType type, long length) =>
        Math.Max(6, 64 - BitOperations.LeadingZeroCount((ulong)Math.Max(1, (length * type.Bytes() + 3) / 4 - 1)));
}

/// <summary>Blocks by size class. A training step in steady state finds every block here.</summary>
sealed unsafe class StoragePool : IDisposable
{
    readonly Stack<CpuStorage>[] _free = [.. Enumerable.Range(0, 48).Select(_ => new Stack<CpuStorage>())];
    readonly Lock _lock = new();

    public CpuStorage Rent(IBackend owner, ElementType type, long length)
    {
        lock (_lock)
            if (_free[CpuStorage.ClassOf(type, length)].TryPop(out var storage)) return storage.As(type, length);
        return CpuStorage.Allocate(owner, type, length);
    }

    public void Return(CpuStorage storage)
    {
        lock (_lock) _free[storage.SizeClass].Push(storage);
    }

    public void Dispose()
    {
        lock (_lock)
            foreach (var stack in _free)
                while (stack.TryPop(out var storage)) NativeMemory.AlignedFree(storage.Pointer);
    }
}
