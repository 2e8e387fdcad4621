using System.Runtime.InteropServices;
using ManagedCuda.BasicTypes;
using ManagedCuda.CudaBlas;
using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>Turns what the driver and cuBLAS return into one line: the call, their own words, what to do.</summary>
static class CudaStatus
{
    public const int OutOfMemory = 2;

    /// <summary><paramref name="call"/> is the C function, with what it was about where that helps.</summary>
    public static void Check(CUResult result, string call)
    {
        if (result != CUResult.Success) throw new CudaFault($"{call}: {Words(result)}; {Remedy((int)result)}");
    }

    public static void Check(CublasStatus status, string call)
    {
        if (status != CublasStatus.Success) throw new CudaFault($"{call}: cuBLAS says {status} ({(int)status}); {Remedy(status)}");
    }

    /// <summary>Name and sentence of the driver's own table.</summary>
    public static string Words(CUResult result)
    {
        nint name = 0, sentence = 0;
        _ = Driver.ErrorHandling.cuGetErrorName(result, ref name);
        _ = Driver.ErrorHandling.cuGetErrorString(result, ref sentence);
        return $"{Marshal.PtrToStringUTF8(name) ?? "error"} {(int)result} ({Marshal.PtrToStringUTF8(sentence) ?? "the driver has no text for it"})";
    }

    static string Remedy(int result) => result switch
    {
        OutOfMemory => "use a smaller batch or model, or end other programs on the device",
        1 => "an argument is wrong: a fault of this program; please report it with the command that led here",
        3 or 4 or 201 => "the driver is not set up on this thread or already gone: a fault of this program; please report it",
        34 or 100 or 101 => "check that nvidia-smi lists a device and that CUDA_VISIBLE_DEVICES does not hide it",
        46 or 802 or 803 or 804 or 805 => "the device or its driver is not ready: restart the driver or the machine, or wait for the other program on it",
        200 or 209 or 218 or 222 or 500 => "the driver cannot use these kernels: it may be too old; update it to 525 or newer",
        214 or 700 or 714 or 715 or 716 or 717 or 718 or 719 =>
            "a kernel went wrong, here or in an earlier launch; the device is lost to this process: run again, and report it if it comes again",
        701 => "the launch asks for more threads, registers or shared memory than the device has",
        702 => "a kernel ran too long for a device that also draws the screen; use a device without one",
        >= 900 and <= 908 => "the call is not allowed while work is recorded: a fault of this program; please report it",
        _ => "see the driver's log (dmesg, nvidia-smi -q)",
    };

    static string Remedy(CublasStatus status) => status switch
    {
        CublasStatus.AllocFailed => "use a smaller batch or model, or end other programs on the device",
        CublasStatus.ArchMismatch or CublasStatus.NotSupported => "this cuBLAS cannot do this product on this device; use a newer one, or float32 products",
        CublasStatus.NotInitialized => "cuBLAS does not fit the driver or finds no memory; use a cuBLAS of the driver's CUDA version or older",
        _ => "a kernel went wrong or an argument is: run again, and report it if it comes again",
    };
}
