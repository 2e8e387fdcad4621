namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) => throw new NotSupportedException();
    public void GemmBatched(Batch a, bool transposeA, Batch b, bool transposeB, Batch c, bool accumulate) => throw new NotSupportedException();
    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, ReadOnlySpan<int> offsets, bool accumulate) => throw new NotSupportedException();
    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate) => throw new NotSupportedException();
    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, ReadOnlySpan<int> offsets, bool accumulate) => throw new NotSupportedException();
}
