using System.Runtime.InteropServices;
using ManagedCuda.BasicTypes;

namespace ManagedCuda.CudaBlas;

[StructLayout(LayoutKind.Sequential)]
public struct CudaBlasHandle
{
    public nint Pointer;
}

public enum CublasStatus
{
    Success = 0,
    NotInitialized = 1,
    AllocFailed = 3,
    InvalidValue = 7,
    ArchMismatch = 8,
    MappingError = 11,
    ExecutionFailed = 13,
    InternalError = 14,
    NotSupported = 15,
    LicenseError = 16,
}

public enum Operation { NonTranspose = 0, Transpose = 1 }

public enum ComputeType { Compute32F = 68, Compute32FFast16BF = 75, Compute32FFastTF32 = 77 }

public enum GemmAlgo { Default = -1 }

/// <summary>The C functions of cuBLAS. Scalars and arrays lie in host memory; only arrays of addresses lie on the device.</summary>
public static class CudaBlasNativeMethods
{
    const string Library = "cublas64_12";

    [DllImport(Library)] public static extern CublasStatus cublasCreate_v2(ref CudaBlasHandle handle);
    [DllImport(Library)] public static extern CublasStatus cublasDestroy_v2(CudaBlasHandle handle);
    [DllImport(Library)] public static extern CublasStatus cublasGetVersion_v2(CudaBlasHandle handle, ref int version);
    [DllImport(Library)] public static extern CublasStatus cublasSetStream_v2(CudaBlasHandle handle, CUstream streamId);
    [DllImport(Library)] public static extern CublasStatus cublasSetWorkspace_v2(CudaBlasHandle handle, CUdeviceptr workspace, SizeT workspaceSizeInBytes);

    [DllImport(Library)]
    public static extern CublasStatus cublasGemmEx(
        CudaBlasHandle handle, Operation transa, Operation transb, int m, int n, int k, nint alpha, CUdeviceptr A, cudaDataType Atype, int lda,
        CUdeviceptr B, cudaDataType Btype, int ldb, nint beta, CUdeviceptr C, cudaDataType Ctype, int ldc, ComputeType computeType, GemmAlgo algo);

    [DllImport(Library)]
    public static extern CublasStatus cublasGemmBatchedEx(
        CudaBlasHandle handle, Operation transa, Operation transb, int m, int n, int k, nint alpha, CUdeviceptr Aarray, cudaDataType Atype, int lda,
        CUdeviceptr Barray, cudaDataType Btype, int ldb, nint beta, CUdeviceptr Carray, cudaDataType Ctype, int ldc, int batchCount,
        ComputeType computeType, GemmAlgo algo);

    [DllImport(Library)]
    public static extern CublasStatus cublasGemmGroupedBatchedEx(
        CudaBlasHandle handle, Operation[] transa_array, Operation[] transb_array, int[] m_array, int[] n_array, int[] k_array, float[] alpha_array,
        CUdeviceptr Aarray, cudaDataType Atype, int[] lda_array, CUdeviceptr Barray, cudaDataType Btype, int[] ldb_array, float[] beta_array,
        CUdeviceptr Carray, cudaDataType Ctype, int[] ldc_array, int group_count, int[] group_size, ComputeType computeType);
}
