using Driver = ManagedCuda.DriverAPINativeMethods;

namespace SparseExperts.Cuda;

/// <summary>Products, which are cuBLAS's.</summary>
public sealed partial class ManagedCudaDriver
{
    public void Gemm(in GemmCall call, CudaStream stream)
    {
        MakeCurrent();
        if (call is { M: > 0, N: > 0 }) _products.Gemm(call, stream);
    }

    public void GemmGrouped(ReadOnlySpan<GemmCall> calls, CudaStream stream)
    {
        MakeCurrent();
        GemmCall[] some = [.. calls];
        some = Array.FindAll(some, c => c is { M: > 0, N: > 0 });
        if (some.Length > 0) _products.Grouped(some, stream);
    }

    public void GemmBatched(in GemmCall call, int count, CudaStream stream)
    {
        MakeCurrent();
        if (call is { M: > 0, N: > 0 } && count > 0) _products.Batched(call, count, stream);
    }

    /// <summary>Frees memory and asks nothing.</summary>
    internal void Release(DevicePointer memory) => _ = Driver.MemoryManagement.cuMemFree_v2(At(memory));
}
