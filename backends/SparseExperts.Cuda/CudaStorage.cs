using System.Numerics;

namespace SparseExperts.Cuda;

/// <summary>
/// Memory of the device. Integers that the host wrote are kept there too, so that indices are checked without a wait.
/// </summary>
sealed class CudaStorage : Storage
{
    public readonly int SizeClass;

    /// <summary>Bytes of the memory, which may be more than the elements take.</summary>
    public long Bytes => (1L << SizeClass) * 4;

    /// <summary>Not to be kept: a storage that is written as a whole may get other memory.</summary>
    public DevicePointer Memory { get; private set; }

    /// <summary>The memory's number among all that the pool ever asked for.</summary>
    public int Block { get; private set; }

    int[]? _host;

    /// <summary>The integers as the host wrote them; there from the first look on, for those of kernels have none.</summary>
    public int[] Host => _host ??= new int[Length];

    /// <summary>Kernels wrote the integers: the host does not know them, and nothing but a wait would tell.</summary>
    public bool IsMade { get; set; }

    /// <summary>Rows that a group of made offsets can have at most; 0 where nobody knows.</summary>
    public int MostOfGroup { get; set; }

    HashSet<(long Offset, int Count, int Limit, int? None)> _looked = [];
    int _lookedBefore;

    /// <summary>What was looked at, and by which rule, since it was written or since the fault number <paramref name="taken"/> was taken.</summary>
    public HashSet<(long Offset, int Count, int Limit, int? None)> Looked(int taken)
    {
        if (taken != _lookedBefore) (_looked, _lookedBefore) = ([], taken);
        return _looked;
    }

    /// <summary>The integers changed.</summary>
    public void ForgetLooks() => _looked.Clear();

    internal CudaStorage(IBackend owner, ElementType type, long length, DevicePointer memory, int sizeClass, int block) : base(owner, type, length)
    {
        SizeClass = sizeClass;
        Move(memory, block);
    }

    /// <summary>What was there is lost.</summary>
    internal void Move(DevicePointer memory, int block) => (Memory, Block) = (memory, block);

    /// <summary>Powers of two from 64 words of four bytes on.</summary>
    public static int ClassOf(ElementType type, long length) =>
        Math.Max(6, 64 - BitOperations.LeadingZeroCount((ulong)Math.Max(1, (length * type.Bytes() + 3) / 4 - 1)));
}

/// <summary>
/// Blocks by size class. Since all work is on one stream, a block that was given back may be lent at once: whoever gets it writes after the last
/// reader. A training step in steady state finds every block here; and since the oldest free block is lent first, it finds the same ones as the step
/// before, wherever they were given back.
/// </summary>
sealed class CudaPool(ICudaDriver driver) : IDisposable
{
    readonly PriorityQueue<int, int>[] _free = [.. Enumerable.Range(0, 48).Select(_ => new PriorityQueue<int, int>())];
    readonly List<DevicePointer> _all = [];

    public CudaStorage Rent(IBackend owner, ElementType type, long length)
    {
        var sizeClass = CudaStorage.ClassOf(type, length);
        var block = Block(sizeClass);
        return new(owner, type, length, _all[block], sizeClass, block);
    }

    int Block(int sizeClass)
    {
        if (_free[sizeClass].TryDequeue(out var block, out _)) return block;
        _all.Add(driver.Allocate((1L << sizeClass) * 4));
        return _all.Count - 1;
    }

    public void Return(CudaStorage storage) => _free[storage.SizeClass].Enqueue(storage.Block, storage.Block);

    /// <summary>Gives the storage the oldest free block that is not <paramref name="named"/>.</summary>
    public void Exchange(CudaStorage storage, Func<DevicePointer, long, bool> named)
    {
        List<int> passed = [storage.Block];
        var block = Block(storage.SizeClass);
        while (named(_all[block], storage.Bytes))
        {
            passed.Add(block);
            block = Block(storage.SizeClass);
        }
        storage.Move(_all[block], block);
        foreach (var free in passed) _free[storage.SizeClass].Enqueue(free, free);
    }

    public void Dispose()
    {
        foreach (var memory in _all) driver.Free(memory);
    }
}
