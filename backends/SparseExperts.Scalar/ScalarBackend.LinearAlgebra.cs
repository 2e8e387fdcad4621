namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(this, "Gemm", a, transposeA, b, transposeB, c);
        Product(a, transposeA, b, transposeB, c, accumulate);
    }

    public void GemmBatched(Batch a, bool transposeA, Batch b, bool transposeB, Batch c, bool accumulate)
    {
        Check.Batches(this, "GemmBatched", a, transposeA, b, transposeB, c);
        for (var i = 0; i < a.Count; i++) Product(a[i], transposeA, b[i], transposeB, c[i], accumulate);
    }

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, ReadOnlySpan<int> offsets, bool accumulate)
    {
        Check.GemmGrouped(this, a, b, transposeB, c, offsets);
        var groups = offsets.Length - 1;
        for (var g = 0; g < groups; g++)
        {
            int start = offsets[g], count = offsets[g + 1] - start, rows = b.Rows / groups;
            Product(a.RowRange(start, count), false, b.RowRange(g * rows, rows), transposeB, c.RowRange(start, count), accumulate);
        }
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        if (typeof(T) == typeof(Tracked))
        {
            TrackedProduct.Multiply(a, true, b, false, c, accumulate);      // its bound holds in any order
            return;
        }
        View<T> x = new(a), y = new(b), z = new(c);
        var tree = new TokenTree(a.Rows, sequence);
        for (var i = 0; i < z.Rows; i++)
            for (var j = 0; j < z.Columns; j++)
            {
                var sum = new Partials<T>(tree);
                for (var leaf = 0; leaf < tree.Leaves; leaf++)
                {
                    var (start, count, joins) = tree[leaf];
                    var chain = Zero;
                    for (var t = start; t < start + count; t++) chain = T.Fma(x[t, i], y[t, j], chain);
                    sum.Push(chain, joins);
                }
                Put(ref z[i, j], sum.Total, accumulate);
            }
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, ReadOnlySpan<int> offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        for (var g = 0; g < offsets.Length - 1; g++)
        {
            int start = offsets[g], count = offsets[g + 1] - start;
            Product(a.RowRange(start, count), true, c.RowRange(start, count), false, b.RowRange(g * a.Columns, a.Columns), accumulate);
        }
    }

    /// <summary>One ascending chain of fused multiply-adds for every output.</summary>
    static void Product(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        View<T> x = new(a), y = new(b), z = new(c);
        var depth = transposeA ? x.Rows : x.Columns;
        if (typeof(T) == typeof(Tracked))
        {
            TrackedProduct.Multiply(a, transposeA, b, transposeB, c, accumulate);
            return;
        }
        for (var i = 0; i < z.Rows; i++)
            for (var j = 0; j < z.Columns; j++)
            {
                var sum = accumulate ? z[i, j] : Zero;
                for (var k = 0; k < depth; k++)
                    sum = T.Fma(transposeA ? x[k, i] : x[i, k], transposeB ? y[j, k] : y[k, j], sum);
                z[i, j] = sum;
            }
    }
}
