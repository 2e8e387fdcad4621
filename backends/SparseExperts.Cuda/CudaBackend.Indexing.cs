namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate) => throw new NotSupportedException();
    public void ScatterAddRows(Matrix x, Indices rows, Matrix y) => throw new NotSupportedException();
    public void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence) => throw new NotSupportedException();
    public void GatherColumns(Matrix x, Indices columns, Matrix y) => throw new NotSupportedException();
    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y) => throw new NotSupportedException();
}
