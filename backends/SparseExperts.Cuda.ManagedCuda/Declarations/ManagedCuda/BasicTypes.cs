using System.Runtime.InteropServices;

namespace ManagedCuda.BasicTypes;

/// <summary>A <c>size_t</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly struct SizeT(ulong value)
{
    readonly nuint _value = (nuint)value;

    public static implicit operator SizeT(ulong value) => new(value);
    public static implicit operator ulong(SizeT size) => size._value;
}

/// <summary>An address in the device's memory.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CUdeviceptr(SizeT pointer)
{
    public SizeT Pointer = pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUdevice
{
    public int Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUcontext
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUstream
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUevent
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUmodule
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUfunction
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUgraph
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUgraphExec
{
    public nint Pointer;
}

[StructLayout(LayoutKind.Sequential)]
public struct CUgraphNode
{
    public nint Pointer;
}

/// <summary>What a node of a graph launches; <c>kernelParams</c> points to the addresses of the arguments.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct CudaKernelNodeParams
{
    public CUfunction func;
    public uint gridDimX, gridDimY, gridDimZ, blockDimX, blockDimY, blockDimZ, sharedMemBytes;
    public nint kernelParams, extra;
#pragma warning disable CS0169                                      // zero: the function is named by func
    readonly nint _kern;
    readonly CUcontext _ctx;
#pragma warning restore CS0169
}

public enum CUResult { Success = 0 }

[Flags]
public enum CUInitializationFlags : uint { None = 0 }

public enum CUDeviceAttribute
{
    MaxThreadsPerBlock = 1,
    MultiProcessorCount = 16,
    ComputeCapabilityMajor = 75,
    ComputeCapabilityMinor = 76,
    MaxSharedMemoryPerBlockOptin = 97,
}

[Flags]
public enum CUMemHostAllocFlags { None = 0 }

[Flags]
public enum CUStreamFlags : uint { None = 0, NonBlocking = 1 }

[Flags]
public enum CUEventFlags { Default = 0, DisableTiming = 2 }

public enum CUJITOption { ErrorLogBuffer = 5, ErrorLogBufferSizeBytes = 6 }

public enum CUFunctionAttribute { MaxDynamicSharedSizeBytes = 8 }

public enum CUstreamCaptureMode { Relaxed = 2 }

[Flags]
public enum CUgraphInstantiate_flags : ulong { None = 0 }

public enum cudaDataType { CUDA_R_32F = 0 }
