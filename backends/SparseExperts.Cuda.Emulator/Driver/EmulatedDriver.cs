using System.Text;
using SparseExperts.Cuda.Emulator.Execution;
using SparseExperts.Cuda.Emulator.Memory;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator;

/// <summary>
/// A CUDA driver without a GPU: it executes the PTX that ships on the CPU and checks every access. Streams are lazy: nothing runs before something waits.
/// After a fault of the device every call but <see cref="Dispose"/> repeats it, as a device does.
/// </summary>
public sealed partial class EmulatedDriver : ICudaDriver
{
    readonly EmulatorOptions _options;
    readonly DeviceMemory _memory;
    readonly Launcher _launcher;
    readonly Cublas _cublas;
    readonly Streams _streams = new();
    readonly Handles<PtxModule> _modules = new("module");
    readonly Handles<PtxKernel> _functions = new("function");
    readonly Handles<WorkQueue> _queues = new("stream");
    readonly Handles<Mark> _marks = new("event");
    readonly Handles<Graph> _graphs = new("graph");
    readonly Dictionary<string, long> _launches = [];
    long _products, _graphLaunches, _bytesToDevice, _bytesToHost, _waits, _allocations;
    CudaFault? _fault;

    public EmulatedDriver(EmulatorOptions? options = null)
    {
        _options = options ?? new();
        _memory = new(_options);
        _launcher = new(_memory, _options);
        _cublas = new(_memory);
        Device = new(
            "PTX emulator", 7, 0, _options.Multiprocessors, Launcher.MaxThreads, Launcher.MaxSharedBytes, _options.MemoryBytes, "emulated", "emulated")
        {
            MaxBlocksY = _options.MaxBlocksY,
        };
    }

    public CudaDeviceInfo Device { get; }

    /// <summary>What was asked for so far.</summary>
    public EmulatorCounters Counters => new(
        new Dictionary<string, long>(_launches), _products, _graphLaunches, _bytesToDevice, _bytesToHost, _waits, _allocations, _launcher.Instructions);

    public (long Free, long Total) Memory() => (_memory.Total - _memory.Held, _memory.Total);

    public DevicePointer Allocate(long bytes)
    {
        Healthy();
        var region = _memory.Allocate(bytes);
        _allocations++;
        return new(region.Address);
    }

    /// <summary>What was given before runs first, since it may still use the memory.</summary>
    public void Free(DevicePointer memory)
    {
        Healthy();
        if (memory.IsNull) return;
        foreach (var queue in _queues.All) OnDevice(() => _streams.Run(queue));
        _memory.Free(memory.Address);
    }

    public void CopyToDevice(DevicePointer to, ReadOnlySpan<byte> from, CudaStream stream)
    {
        var queue = Queue(stream);
        _memory.Find(to.Address, from.Length, "copy to device", out _);
        var bytes = from.ToArray();
        Give(queue, () =>
        {
            _memory.Write(to.Address, bytes);
            _bytesToDevice += bytes.Length;
        });
    }

    public void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream)
    {
        WaitFor(stream, "CopyToHost");
        _memory.Read(to, from.Address);
        _bytesToHost += to.Length;
    }

    public void CopyOnDevice(DevicePointer to, DevicePointer from, long bytes, CudaStream stream) =>
        Give(Queue(stream), () => _memory.Copy(to.Address, from.Address, bytes));

    public void Set(DevicePointer to, uint value, long words, CudaStream stream) => Give(Queue(stream), () => _memory.Set(to.Address, value, words));

    public CudaModule LoadModule(string name, ReadOnlySpan<byte> ptx)
    {
        Healthy();
        if (_options.Rewrite is { } rewrite) ptx = Encoding.ASCII.GetBytes(rewrite(name, Encoding.ASCII.GetString(ptx)));
        return new(_modules.Add(PtxParser.Parse(name, ptx, _memory)));
    }

    public CudaFunction Function(CudaModule module, string name)
    {
        var loaded = _modules[module.Handle];
        return loaded.Kernels.TryGetValue(name, out var kernel)
            ? new(_functions.Add(kernel))
            : throw new CudaFault($"{loaded.File} has no kernel {name}; it has {string.Join(", ", loaded.Kernels.Keys)}");
    }

    public void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream)
    {
        var queue = Queue(stream);
        Give(queue, Ready(_functions[function.Handle], shape, arguments));
    }

    /// <summary>A launch whose shape and arguments were found right.</summary>
    Action Ready(PtxKernel kernel, LaunchShape shape, ReadOnlySpan<KernelArgument> arguments)
    {
        var parameters = _launcher.Parameters(kernel, shape, arguments);
        return () =>
        {
            _launches[kernel.Name] = _launches.GetValueOrDefault(kernel.Name) + 1;
            _launcher.Run(kernel, shape, parameters);
        };
    }

    public void Gemm(in GemmCall call, CudaStream stream)
    {
        var product = call;
        Cublas.Check(product);
        Give(Queue(stream), () =>
        {
            _cublas.Run(product);
            _products++;
        });
    }

    public void GemmGrouped(ReadOnlySpan<GemmCall> calls, CudaStream stream)
    {
        var all = calls.ToArray();
        foreach (var call in all)
        {
            Cublas.Check(call);
            if (call.Precision != all[0].Precision) throw new CudaFault("GemmGrouped: products of different precisions; give them in one call for each");
        }
        Give(Queue(stream), () =>
        {
            foreach (var call in all) _cublas.Run(call);
            _products += all.Length;
        });
    }

    public void GemmBatched(in GemmCall call, int count, CudaStream stream)
    {
        var product = call;
        Cublas.Check(product);
        Give(Queue(stream), () =>
        {
            _cublas.RunBatch(product, count);
            _products += count;
        });
    }

    public void Dispose() => _memory.Dispose();

    void Give(WorkQueue queue, Action work) => _streams.Give(queue, work);

    WorkQueue Queue(CudaStream stream)
    {
        Healthy();
        return _queues[stream.Handle];
    }

    /// <summary>Runs work of the device; what goes wrong there stays wrong.</summary>
    void OnDevice(Action work)
    {
        try { work(); }
        catch (CudaFault fault)
        {
            _fault = fault;
            throw;
        }
    }

    void Healthy()
    {
        if (_fault is not null) throw new CudaFault(_fault.Message, _fault);
    }
}
