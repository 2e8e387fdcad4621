namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(this, "Gemm", a, transposeA, b, transposeB, c);
        if (ByCublas)
        {
            CublasGemm(a, transposeA, b, transposeB, c, accumulate);
            return;
        }
        var depth = transposeA ? a.Rows : a.Columns;
        Multiply(Pointer(a), Pointer(b), c, new(
            c.Rows, c.Columns, depth, Left(a, transposeA), Right(b, transposeB), Rows(c), SumTree.OfProduct(depth), Chains(accumulate)));
    }

    public void GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c)
    {
        Check.GemmAdd(this, start, a, b, c);
        if (ByCublas || start.Stride != c.Stride)
        {
            Copy(start, c);
            Gemm(a, false, b, false, c, true);
            return;
        }
        Multiply(Pointer(a), Pointer(b), c, OfRows(a, b, false, c, accumulate: true), start);
        if (a.Columns == 0) Copy(start, c);                     // a product of nothing leaves C alone
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        if (ByCublas)
        {
            CublasGemm(a, true, b, false, c, accumulate);
            return;
        }
        Multiply(Pointer(a), Pointer(b), c, new(
            c.Rows, c.Columns, a.Rows, Left(a, true), Right(b, false), Rows(c), new(a.Rows, sequence),
            accumulate ? ProductEnd.AddsToC : ProductEnd.Overwrites));
    }

    static ProductEnd Chains(bool accumulate) => accumulate ? ProductEnd.StartsAtC : ProductEnd.Overwrites;

    static Steps Rows(Matrix matrix) => new(matrix.Stride, 1);
    static Steps Columns(Matrix matrix) => new(1, matrix.Stride);
    static Steps Left(Matrix a, bool transpose) => transpose ? Columns(a) : Rows(a);
    static Steps Right(Matrix b, bool transpose) => transpose ? Rows(b) : Columns(b);
}
