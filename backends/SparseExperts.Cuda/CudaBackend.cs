using System.Runtime.InteropServices;

namespace SparseExperts.Cuda;

/// <summary>
/// Every op as kernels on a CUDA device, in the order of sums that docs/numerics.md defines: the bits are those of the CPU. All work goes to one
/// stream and only reads wait for it.
/// </summary>
public sealed partial class CudaBackend : IBackend
{
    /// <summary>Threads of a block in kernels that give every element a thread.</summary>
    const int ElementThreads = 256;

    readonly ICudaDriver _driver;
    readonly CudaPool _pool;
    readonly CudaKernels _kernels;
    readonly CudaStream _stream;
    readonly LaunchQueue _queue;
    readonly Precision _precision;
    readonly bool _graphs;
    readonly OneThread _caller;

    /// <param name="driver">The device; it is disposed of with the backend.</param>
    /// <param name="name">The backend's name in messages and records.</param>
    /// <param name="precision">Exact products are the kernels', the others cuBLAS's.</param>
    /// <param name="graphs">Work that comes again goes to the device as graphs; if not, every launch goes alone.</param>
    public CudaBackend(ICudaDriver driver, string name = "cuda", Precision precision = Precision.Exact, bool graphs = true)
    {
        _graphs = graphs;
        _precision = precision;
        _driver = driver;
        _caller = new(name);
        _pool = new(driver);
        _kernels = new(driver);
        _stream = driver.CreateStream();
        _queue = new(driver, _stream);
        Info = new(name, $"{driver.Device.Name}, compute capability {driver.Device.ComputeCapability}",
            precision == Precision.Exact ? "float32, fused multiply-add chains" : $"float32, products of {precision.Text()} factors by cuBLAS", 1)
        {
            PromisesBits = precision == Precision.Exact,
            ProductOperandError = precision.OperandError(),
            HasOwnMemory = true,
        };
    }

    public BackendInfo Info { get; }

    /// <summary>The products that this backend has.</summary>
    public static IReadOnlyList<Precision> Precisions { get; } = Enum.GetValues<Precision>();

    public Storage Rent(ElementType type, long length)
    {
        using var alone = _caller.Enter();
        return _pool.Rent(this, type, length);
    }

    public void Return(Storage storage)
    {
        using var alone = _caller.Enter();
        _pool.Return((CudaStorage)storage);
    }

    /// <summary>Waits for the work and gives everything back. A device that has failed has said so to whoever read its results.</summary>
    public void Dispose()
    {
        IfAlive(() =>
        {
            Synchronize();
            _queue.Dispose();
            _pool.Dispose();
            _driver.DestroyStream(_stream);
        });
        IfAlive(_driver.Dispose);
    }

    /// <summary>On a device that has failed the context is lost, and all that is in it.</summary>
    static void IfAlive(Action end)
    {
        try
        {
            end();
        }
        catch (CudaFault)
        {
            // Said before, by the call that failed.
        }
    }

    /// <summary>Waits until all work is done.</summary>
    public void Synchronize() => Driver.Synchronize(_stream);

    /// <summary>Launches are kept, and those that come again go to the device as graphs.</summary>
    public IDisposable Repeated() => _graphs ? _queue.Repeated() : new NoScope();

    sealed class NoScope : IDisposable
    {
        public void Dispose() { }
    }

    /// <summary>The driver for all that is no launch: the launches before it are given first.</summary>
    ICudaDriver Driver
    {
        get
        {
            using var alone = _caller.Enter();
            _queue.Flush();
            return _driver;
        }
    }

    public void Write(Storage to, long offset, ReadOnlySpan<float> values)
    {
        if (to.Type.IsNarrow()) Write(to, offset, [.. values], static (type, value) => Narrow.Bits(type, value));
        else Upload(to, ElementType.Real, offset, MemoryMarshal.AsBytes(values));
    }

    public void Write(Storage to, long offset, ReadOnlySpan<double> values)
    {
        if (to.Type.IsNarrow())
        {
            Write(to, offset, [.. values], static (type, value) => Narrow.Bits(type, value));
            return;
        }
        var rounded = new float[values.Length];
        for (var i = 0; i < values.Length; i++) rounded[i] = (float)values[i];
        Write(to, offset, (ReadOnlySpan<float>)rounded);
    }

    void Write<T>(Storage to, long offset, T[] values, Func<ElementType, T, ushort> bits)
    {
        var narrow = Array.ConvertAll(values, value => bits(to.Type, value));
        Upload(to, to.Type, offset, MemoryMarshal.AsBytes<ushort>(narrow));
    }

    public void Write(Storage to, long offset, ReadOnlySpan<int> values)
    {
        Place(to, ElementType.Integer, offset, values.Length);
        if (((CudaStorage)to).IsMade) throw new InvalidOperationException("transfer: kernels wrote these integers; rent others for the host's");
        ((CudaStorage)to).ForgetLooks();
        values.CopyTo(((CudaStorage)to).Host.AsSpan(checked((int)offset)));
        Upload(to, ElementType.Integer, offset, MemoryMarshal.AsBytes(values));
    }

    /// <summary>
    /// Ahead of the launches that wait, so that a step's labels do not cut its graph in two: where one of them has to do with the memory, what is written
    /// as a whole gets other memory, and they are given first for what is written in part.
    /// </summary>
    void Upload(Storage to, ElementType type, long offset, ReadOnlySpan<byte> bytes)
    {
        using var alone = _caller.Enter();
        var (storage, count) = ((CudaStorage)to, bytes.Length / type.Bytes());
        var place = Place(to, type, offset, count);
        if (_queue.Names(storage.Memory, storage.Bytes))
        {
            if (count < storage.Length) _queue.Flush();
            else
            {
                _pool.Exchange(storage, _queue.Names);
                place = storage.Memory;
            }
        }
        _driver.CopyToDevice(place, bytes, _stream);
    }

    public void Read(Storage from, long offset, Span<float> values)
    {
        if (!from.Type.IsNarrow())
        {
            Driver.CopyToHost(MemoryMarshal.AsBytes(values), Place(from, ElementType.Real, offset, values.Length), _stream);
            return;
        }
        var bits = new ushort[values.Length];
        Driver.CopyToHost(MemoryMarshal.AsBytes(bits.AsSpan()), Place(from, from.Type, offset, values.Length), _stream);
        for (var i = 0; i < bits.Length; i++) values[i] = Narrow.Value(from.Type, bits[i]);
    }

    public void Read(Storage from, long offset, Span<double> values)
    {
        var read = new float[values.Length];
        Read(from, offset, (Span<float>)read);
        for (var i = 0; i < values.Length; i++) values[i] = read[i];
    }

    public void Read(Storage from, long offset, Span<int> values)
    {
        var place = Place(from, ElementType.Integer, offset, values.Length);
        if (((CudaStorage)from).IsMade) Driver.CopyToHost(MemoryMarshal.AsBytes(values), place, _stream);
        else ((CudaStorage)from).Host.AsSpan(checked((int)offset), values.Length).CopyTo(values);
    }

    public void Fill(Matrix matrix, double value)
    {
        Check.Owned(this, "Fill", matrix);
        Elements("fill", [matrix], (float)value);
    }

    public void Copy(Matrix from, Matrix to)
    {
        Check.Copy(this, from, to);
        Elements(from.Type.IsNarrow() ? "copy_narrow" : "copy", [from, to]);
    }

    public void Cast(Matrix x, Matrix y)
    {
        Check.Cast(this, x, y);
        if (x.Type == y.Type) Copy(x, y);
        else if (!x.Type.IsNarrow()) Elements("narrow", [x, y], (int)y.Type);
        else if (!y.Type.IsNarrow()) Elements("widen", [x, y], (int)x.Type);
        else Elements("narrow_again", [x, y], x.Rows, x.Columns, (int)x.Type, (int)y.Type);
    }

    /// <summary>Where element (0, 0) of a view lies.</summary>
    static DevicePointer Pointer(Matrix matrix) => ((CudaStorage)matrix.Storage).Memory + matrix.Offset * matrix.Type.Bytes();

    static DevicePointer Pointer(Indices indices) => ((CudaStorage)indices.Storage).Memory + indices.Offset * sizeof(int);

    /// <summary>The integers of a run, as the host knows them; waits for those that kernels made.</summary>
    ReadOnlySpan<int> Integers(Indices indices)
    {
        if (!IsMade(indices)) return ((CudaStorage)indices.Storage).Host.AsSpan(checked((int)indices.Offset), indices.Count);
        var read = new int[indices.Count];
        Read(indices.Storage, indices.Offset, read);
        return read;
    }

    static bool IsMade(Indices indices) => ((CudaStorage)indices.Storage).IsMade;

    /// <summary>Offsets of the host are looked at; those that kernels made are right by construction.</summary>
    void CheckOffsets(string op, Indices offsets, int rows)
    {
        if (!IsMade(offsets)) Check.Groups(op, Integers(offsets), rows);
    }

    /// <summary>Gives a kernel to the stream; nothing where there are no blocks.</summary>
    void Launch(string kernel, LaunchShape shape, ReadOnlySpan<KernelArgument> arguments)
    {
        if (shape.Blocks <= 0) return;
        using var alone = _caller.Enter();
        _queue.Launch(_kernels[kernel], shape, arguments);
    }

    static int Blocks(long count, int size) => checked((int)((count + size - 1) / size));

    static DevicePointer Place(Storage storage, ElementType type, long offset, int count) =>
        storage.Type == type && offset >= 0 && offset + count <= storage.Length
            ? ((CudaStorage)storage).Memory + offset * type.Bytes()
            : throw new ShapeException(
                $"transfer: {count} {type} elements at {offset} leave a storage of {storage.Length} {storage.Type} elements; shrink the range");
}
