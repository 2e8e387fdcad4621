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

    public void GemmBatched(Batch a, bool transposeA, Batch b, bool transposeB, Batch c, bool accumulate)
    {
        Check.Batches(this, "GemmBatched", a, transposeA, b, transposeB, c);
        if (c.Count == 0) return;
        if (ByCublas)
        {
            CublasBatched(a, transposeA, b, transposeB, c, accumulate);
            return;
        }
        if (a.Inner != c.Inner || b.Inner != c.Inner)      // members that are counted differently have no steps in common
        {
            for (var i = 0; i < c.Count; i++) Gemm(a[i], transposeA, b[i], transposeB, c[i], accumulate);
            return;
        }
        var depth = transposeA ? a.First.Rows : a.First.Columns;
        Multiply(Pointer(a.First), Pointer(b.First), c.First, new(
            c.First.Rows, c.First.Columns, depth, Of(a, Left(a.First, transposeA)), Of(b, Right(b.First, transposeB)), Of(c, Rows(c.First)),
            SumTree.OfProduct(depth), Chains(accumulate), c.Outer, c.Inner));
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
    static Steps Of(Batch batch, Steps first) => first with { Outer = batch.OuterStride, Inner = batch.InnerStride };
}
