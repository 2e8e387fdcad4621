using System.Text;
using ManagedCuda.BasicTypes;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>
/// The first device that CUDA lists, through the driver's C functions and its primary context. Everything is given to streams of its own, so that the
/// default stream's waits play no part. A call from another thread than the one before makes the context current there first.
/// </summary>
public sealed partial class ManagedCudaDriver : ICudaDriver
{
    const int MinDriverVersion = 12000, MinMajor = 7, MaxArguments = 128;

    readonly CUdevice _device;
    readonly CUcontext _context;
    readonly StagingRing _staging;
    readonly CublasProducts _products;
    readonly Dictionary<nint, Dictionary<string, ParameterType[]>> _modules = [];
    readonly Dictionary<nint, CudaKernel> _kernels = [];
    readonly ulong[] _slots = GC.AllocateArray<ulong>(MaxArguments, pinned: true);
    readonly nint[] _slotAddresses = GC.AllocateArray<nint>(MaxArguments, pinned: true);
    readonly CudaDeviceInfo _info;
    int _thread;

    public unsafe ManagedCudaDriver()
    {
        var probe = Probe();
        if (!probe.IsAvailable) throw new CudaFault(probe.Why);
        CudaStatus.Check(Driver.DeviceManagement.cuDeviceGet(ref _device, 0), "cuDeviceGet");
        CudaStatus.Check(Driver.ContextManagement.cuDevicePrimaryCtxRetain(ref _context, _device), "cuDevicePrimaryCtxRetain");
        MakeCurrent();
        _info = Describe(_device);
        fixed (ulong* slots = _slots)
            for (var i = 0; i < MaxArguments; i++) _slotAddresses[i] = (nint)(slots + i);
        _staging = new();
        _products = new(this);
    }

    public CudaDeviceInfo Device => _info with { Cublas = _products.Version };

    /// <summary>Is there a driver, a device, and are both new enough? Never throws; makes no context.</summary>
    public static BackendProbe Probe()
    {
        try
        {
            CudaLibraries.Serve(typeof(Driver).Assembly);
            CudaLibraries.Serve(typeof(ManagedCuda.CudaBlas.CudaBlasNativeMethods).Assembly);
            int version = 0, count = 0;
            CudaStatus.Check(Driver.cuDriverGetVersion(ref version), "cuDriverGetVersion");
            if (version < MinDriverVersion)
                return BackendProbe.Missing($"the driver speaks CUDA {VersionText(version)}, 12.0 is needed; update the driver to 525 or newer");
            CudaStatus.Check(Driver.cuInit(CUInitializationFlags.None), "cuInit");
            CudaStatus.Check(Driver.DeviceManagement.cuDeviceGetCount(ref count), "cuDeviceGetCount");
            if (count == 0) return BackendProbe.Missing("the driver lists no device; check nvidia-smi and CUDA_VISIBLE_DEVICES");
            CUdevice device = default;
            CudaStatus.Check(Driver.DeviceManagement.cuDeviceGet(ref device, 0), "cuDeviceGet");
            var info = Describe(device);
            return info.Major < MinMajor
                ? BackendProbe.Missing($"{info.Name} has compute capability {info.ComputeCapability}, {MinMajor}.0 is needed; use a newer device")
                : BackendProbe.Available($"{info.Name}, compute capability {info.ComputeCapability}, driver for CUDA {info.Driver}");
        }
        catch (DllNotFoundException)
        {
            return BackendProbe.Missing($"no NVIDIA driver: {CudaLibraries.Sought(CudaLibraries.DriverNames)}; install the driver");
        }
        catch (CudaFault fault)
        {
            return BackendProbe.Missing(fault.Message);
        }
        catch (Exception e)
        {
            return BackendProbe.Missing($"{e.Message.TrimEnd('.')}; the driver's library or the plugin's folder is damaged: install it again");
        }
    }

    public (long Free, long Total) Memory()
    {
        MakeCurrent();
        SizeT free = default, total = default;
        CudaStatus.Check(Driver.MemoryManagement.cuMemGetInfo_v2(ref free, ref total), "cuMemGetInfo");
        return ((long)(ulong)free, (long)(ulong)total);
    }

    public DevicePointer Allocate(long bytes)
    {
        MakeCurrent();
        CUdeviceptr memory = default;
        var result = Driver.MemoryManagement.cuMemAlloc_v2(ref memory, (SizeT)(ulong)Math.Max(bytes, 1));
        if (result != CUResult.Success)
        {
            var (free, total) = (int)result == CudaStatus.OutOfMemory ? Memory() : default;
            var room = total > 0 ? $" ({Mebibytes(free)} MiB of {Mebibytes(total)} MiB are free)" : "";
            CudaStatus.Check(result, $"cuMemAlloc of {Mebibytes(bytes)} MiB{room}");
        }
        return new((ulong)memory.Pointer);
    }

    /// <summary>The driver waits for work that uses the memory.</summary>
    public void Free(DevicePointer memory)
    {
        MakeCurrent();
        CudaStatus.Check(Driver.MemoryManagement.cuMemFree_v2(At(memory)), "cuMemFree");
    }

    public CudaModule LoadModule(string name, ReadOnlySpan<byte> ptx)
    {
        MakeCurrent();
        var kernels = PtxEntries.Read(name, ptx);
        byte[] text = [.. ptx, 0];
        var log = GC.AllocateArray<byte>(8192, pinned: true);
        CUmodule module = default;
        nint[] values = [System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(log, 0), log.Length];
        CUJITOption[] options = [CUJITOption.ErrorLogBuffer, CUJITOption.ErrorLogBufferSizeBytes];
        var result = Driver.ModuleManagement.cuModuleLoadDataEx(ref module, text, (uint)options.Length, options, values);
        if (result != CUResult.Success) CudaStatus.Check(result, $"cuModuleLoadData of {name}{Quote(log)}");
        _modules[module.Pointer] = kernels;
        return new(module.Pointer);
    }

    public CudaFunction Function(CudaModule module, string name)
    {
        MakeCurrent();
        CUfunction function = default;
        CudaStatus.Check(Driver.ModuleManagement.cuModuleGetFunction(ref function, new() { Pointer = module.Handle }, name), $"cuModuleGetFunction of {name}");
        _kernels[function.Pointer] = new(name, _modules[module.Handle][name]);
        return new(function.Pointer);
    }

    public void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream)
    {
        MakeCurrent();
        var kernel = Prepare(function, shape, arguments);
        var result = Driver.Launch.cuLaunchKernel(
            new() { Pointer = function.Handle }, (uint)shape.BlocksX, (uint)shape.BlocksY, (uint)shape.BlocksZ, (uint)shape.ThreadsX, (uint)shape.ThreadsY, 1,
            (uint)shape.SharedBytes, On(stream), _slotAddresses, null);
        if (result == CUResult.Success) return;
        var launch = $"{shape.BlocksX}x{shape.BlocksY}x{shape.BlocksZ} blocks of {shape.Threads} threads, {shape.SharedBytes} bytes shared";
        CudaStatus.Check(result, $"cuLaunchKernel of {kernel.Name} ({launch})");
    }

    /// <summary>Arguments that are the kernel's go to where launches take them from.</summary>
    CudaKernel Prepare(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments)
    {
        var kernel = _kernels[function.Handle];
        kernel.Check(arguments);
        if (shape.SharedBytes > kernel.SharedBytes) AllowShared(function, kernel, shape.SharedBytes);
        for (var i = 0; i < arguments.Length; i++) _slots[i] = arguments[i].Bits;
        return kernel;
    }

    public void Dispose()
    {
        MakeCurrent();
        _products.Dispose();
        _staging.Dispose();
        foreach (var module in _modules.Keys) _ = Driver.ModuleManagement.cuModuleUnload(new() { Pointer = module });
        _ = Driver.ContextManagement.cuDevicePrimaryCtxRelease(_device);
    }

    /// <summary>More than 48 KiB of dynamic shared memory has to be asked for once.</summary>
    static void AllowShared(CudaFunction function, CudaKernel kernel, int bytes)
    {
        CudaStatus.Check(
            Driver.FunctionManagement.cuFuncSetAttribute(new() { Pointer = function.Handle }, CUFunctionAttribute.MaxDynamicSharedSizeBytes, bytes),
            $"cuFuncSetAttribute of {kernel.Name} for {bytes} bytes of shared memory");
        kernel.SharedBytes = bytes;
    }

    void MakeCurrent()
    {
        var thread = Environment.CurrentManagedThreadId;
        if (_thread == thread) return;
        CudaStatus.Check(Driver.ContextManagement.cuCtxSetCurrent(_context), "cuCtxSetCurrent");
        _thread = thread;
    }

    static CudaDeviceInfo Describe(CUdevice device)
    {
        var name = new byte[256];
        SizeT total = default;
        var version = 0;
        CudaStatus.Check(Driver.DeviceManagement.cuDeviceGetName(name, name.Length, device), "cuDeviceGetName");
        CudaStatus.Check(Driver.DeviceManagement.cuDeviceTotalMem_v2(ref total, device), "cuDeviceTotalMem");
        CudaStatus.Check(Driver.cuDriverGetVersion(ref version), "cuDriverGetVersion");
        return new(
            Encoding.UTF8.GetString(name.AsSpan(0, Array.IndexOf(name, (byte)0))),
            Attribute(CUDeviceAttribute.ComputeCapabilityMajor), Attribute(CUDeviceAttribute.ComputeCapabilityMinor),
            Attribute(CUDeviceAttribute.MultiProcessorCount),
            Attribute(CUDeviceAttribute.MaxThreadsPerBlock), Attribute(CUDeviceAttribute.MaxSharedMemoryPerBlockOptin),
            (long)(ulong)total, VersionText(version), CublasProducts.NotLoaded);

        int Attribute(CUDeviceAttribute attribute)
        {
            var value = 0;
            CudaStatus.Check(Driver.DeviceManagement.cuDeviceGetAttribute(ref value, attribute, device), $"cuDeviceGetAttribute of {attribute}");
            return value;
        }
    }

    /// <summary>What the driver's compiler wrote, on one line.</summary>
    static string Quote(byte[] log)
    {
        var text = Encoding.UTF8.GetString(log.AsSpan(0, Math.Max(0, Array.IndexOf(log, (byte)0)))).ReplaceLineEndings(" ").Trim();
        return text.Length == 0 ? "" : $" ({text})";
    }

    static string VersionText(int version) => $"{version / 1000}.{version % 1000 / 10}";
    static long Mebibytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;

    internal static CUdeviceptr At(DevicePointer pointer) => new((SizeT)pointer.Address);
    internal static CUstream On(CudaStream stream) => new() { Pointer = stream.Handle };
}
