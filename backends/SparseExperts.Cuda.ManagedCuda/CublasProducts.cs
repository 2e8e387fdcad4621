using ManagedCuda.BasicTypes;
using ManagedCuda.CudaBlas;
using static ManagedCuda.CudaBlas.CudaBlasNativeMethods;

namespace SparseExperts.Cuda;

/// <summary>
/// cuBLAS, loaded at the first product, so that a machine without it runs everything else. Every stream has a handle with a workspace of its own: then
/// repeated products on one stream have the same bits, and they may be recorded.
/// </summary>
sealed class CublasProducts(ManagedCudaDriver driver) : IDisposable
{
    public const string NotLoaded = "not loaded";
    const long WorkspaceBytes = 32 << 20;
    const cudaDataType Reals = cudaDataType.CUDA_R_32F;

    readonly Dictionary<nint, PerStream> _streams = [];
    bool _canGroup = true;

    public string Version { get; private set; } = NotLoaded;

    public unsafe void Gemm(in GemmCall call, CudaStream stream)
    {
        var (alpha, beta) = (call.Alpha, call.Beta);
        Check(
            cublasGemmEx(
                For(stream).Handle, Op(call.TransposeA), Op(call.TransposeB), call.M, call.N, call.K,
                (nint)(&alpha), At(call.A), Reals, call.LeadingA, At(call.B), Reals, call.LeadingB,
                (nint)(&beta), At(call.C), Reals, call.LeadingC, Units(call.Precision), GemmAlgo.Default),
            "cublasGemmEx", call);
    }

    /// <summary>Products of one shape, whose addresses lie on the device.</summary>
    public unsafe void Batched(in GemmCall call, int count, CudaStream stream)
    {
        var (alpha, beta) = (call.Alpha, call.Beta);
        Check(
            cublasGemmBatchedEx(
                For(stream).Handle, Op(call.TransposeA), Op(call.TransposeB), call.M, call.N, call.K,
                (nint)(&alpha), At(call.A), Reals, call.LeadingA, At(call.B), Reals, call.LeadingB,
                (nint)(&beta), At(call.C), Reals, call.LeadingC, count, Units(call.Precision), GemmAlgo.Default),
            $"cublasGemmBatchedEx of {count}", call);
    }

    /// <summary>One call for all; one call each where this cuBLAS has no grouped products (before 12.5) or not in this precision (bfloat16).</summary>
    public void Grouped(ReadOnlySpan<GemmCall> calls, CudaStream stream)
    {
        if (calls.Length > 1 && _canGroup && calls[0].Precision != ProductPrecision.BFloat16)
        {
            try
            {
                InOneCall(calls, stream);
                return;
            }
            catch (EntryPointNotFoundException)
            {
                _canGroup = false;
            }
        }
        foreach (ref readonly var call in calls) Gemm(call, stream);
    }

    void InOneCall(ReadOnlySpan<GemmCall> calls, CudaStream stream)
    {
        var count = calls.Length;
        var (opA, opB, m, n, k) = (new Operation[count], new Operation[count], new int[count], new int[count], new int[count]);
        var (leadingA, leadingB, leadingC, sizes) = (new int[count], new int[count], new int[count], new int[count]);
        var (alpha, beta) = (new float[count], new float[count]);
        var addresses = new ulong[3 * count];
        for (var i = 0; i < count; i++)
        {
            ref readonly var call = ref calls[i];
            (opA[i], opB[i], m[i], n[i], k[i], sizes[i]) = (Op(call.TransposeA), Op(call.TransposeB), call.M, call.N, call.K, 1);
            (leadingA[i], leadingB[i], leadingC[i], alpha[i], beta[i]) = (call.LeadingA, call.LeadingB, call.LeadingC, call.Alpha, call.Beta);
            (addresses[i], addresses[count + i], addresses[2 * count + i]) = (call.A.Address, call.B.Address, call.C.Address);
        }
        var here = For(stream);
        var table = here.Table(driver, addresses.Length * sizeof(ulong));
        driver.CopyToDevice(table, System.Runtime.InteropServices.MemoryMarshal.AsBytes<ulong>(addresses), stream);
        long column = count * sizeof(ulong);
        Check(
            cublasGemmGroupedBatchedEx(
                here.Handle, opA, opB, m, n, k, alpha, At(table), Reals, leadingA, At(table + column), Reals, leadingB,
                beta, At(table + 2 * column), Reals, leadingC, count, sizes, Units(calls[0].Precision)),
            $"cublasGemmGroupedBatchedEx of {count}, the first", calls[0]);
    }

    public void Leave(CudaStream stream)
    {
        if (_streams.Remove(stream.Handle, out var here)) here.Dispose(driver);
    }

    public void Dispose()
    {
        foreach (var here in _streams.Values) here.Dispose(driver);
        _streams.Clear();
    }

    PerStream For(CudaStream stream)
    {
        if (_streams.TryGetValue(stream.Handle, out var here)) return here;
        CudaBlasHandle handle = default;
        try
        {
            CudaStatus.Check(cublasCreate_v2(ref handle), "cublasCreate");
        }
        catch (DllNotFoundException)
        {
            var sought = CudaLibraries.Sought(CudaLibraries.CublasNames);
            throw new CudaFault($"no cuBLAS: {sought}; install it, or name the folder that has it in {CudaLibraries.FoldersVariable}");
        }
        var version = 0;
        CudaStatus.Check(cublasGetVersion_v2(handle, ref version), "cublasGetVersion");
        Version = $"{version / 10000}.{version / 100 % 100}.{version % 100}";
        var workspace = driver.Allocate(WorkspaceBytes);
        CudaStatus.Check(cublasSetStream_v2(handle, ManagedCudaDriver.On(stream)), "cublasSetStream");
        CudaStatus.Check(cublasSetWorkspace_v2(handle, At(workspace), (SizeT)(ulong)WorkspaceBytes), "cublasSetWorkspace");
        return _streams[stream.Handle] = new(handle, workspace);
    }

    static void Check(CublasStatus status, string call, in GemmCall first)
    {
        if (status == CublasStatus.Success) return;
        var leading = $"leading {first.LeadingA}, {first.LeadingB}, {first.LeadingC}";
        CudaStatus.Check(status, $"{call} ({first.M}x{first.N}x{first.K}, {leading}, {first.Precision})");
    }

    static CUdeviceptr At(DevicePointer pointer) => ManagedCudaDriver.At(pointer);
    static Operation Op(bool transposed) => transposed ? Operation.Transpose : Operation.NonTranspose;

    static ComputeType Units(ProductPrecision precision) => precision switch
    {
        ProductPrecision.Tf32 => ComputeType.Compute32FFastTF32,
        ProductPrecision.BFloat16 => ComputeType.Compute32FFast16BF,
        _ => ComputeType.Compute32F,
    };

    /// <summary>
    /// What a stream has of its own. The table holds addresses of grouped products; work on the stream reads it before the next call writes it. One that
    /// became too small stays, since recorded work may read it.
    /// </summary>
    sealed class PerStream(CudaBlasHandle handle, DevicePointer workspace)
    {
        readonly List<DevicePointer> _memory = [workspace];
        long _tableBytes;

        public CudaBlasHandle Handle => handle;

        public DevicePointer Table(ManagedCudaDriver driver, long bytes)
        {
            if (bytes > _tableBytes) _memory.Add(driver.Allocate(_tableBytes = long.Max(4096, 2 * bytes)));
            return _memory[^1];
        }

        /// <summary>Errors are left alone: whoever ends after a fault would hear of it twice.</summary>
        public void Dispose(ManagedCudaDriver driver)
        {
            _ = cublasDestroy_v2(handle);
            foreach (var memory in _memory) driver.Release(memory);
        }
    }
}
