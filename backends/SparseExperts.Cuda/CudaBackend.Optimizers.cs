namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, in AdamWStep step) => throw new NotSupportedException();
}
