namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(this, "Gemm", a, transposeA, b, transposeB, c);
        Product(a, transposeA, b, transposeB, c, accumulate);
    }

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate)
    {
        Check.GemmGrouped(this, a, b, transposeB, c, offsets);
        var starts = Integers(offsets);
        var groups = Check.Groups("GemmGrouped", starts, a.Rows);
        if (!accumulate)
        {
            Fill(c.RowRange(0, starts[0]), 0);
            Fill(c.RowRange(starts[^1], c.Rows - starts[^1]), 0);
        }
        for (var g = 0; g < groups; g++)
        {
            int start = starts[g], count = starts[g + 1] - start, rows = b.Rows / groups;
            Product(a.RowRange(start, count), false, b.RowRange(g * rows, rows), transposeB, c.RowRange(start, count), accumulate);
        }
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        if (typeof(T) == typeof(Tracked))
        {
            TrackedProduct.Multiply(a, true, b, false, c, accumulate, OperandError);      // its bound holds in any order
            return;
        }
        View<T> x = new(a), y = new(b), z = new(c);
        var tree = new SumTree(a.Rows, sequence);
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

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        var starts = Integers(offsets);
        var groups = Check.Groups("GemmGroupedOuter", starts, a.Rows);
        for (var g = 0; g < groups; g++)
        {
            int start = starts[g], count = starts[g + 1] - start;
            Product(a.RowRange(start, count), true, c.RowRange(start, count), false, b.RowRange(g * a.Columns, a.Columns), accumulate, new(count, 0));
        }
    }

    void Product(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) =>
        Product(a, transposeA, b, transposeB, c, accumulate, SumTree.OfProduct(transposeA ? a.Rows : a.Columns));

    /// <summary>Blocks of k are ascending chains of fused multiply-adds, of which the first starts from C when accumulating; halves are added.</summary>
    void Product(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate, SumTree tree)
    {
        if (typeof(T) == typeof(Tracked))
        {
            TrackedProduct.Multiply(a, transposeA, b, transposeB, c, accumulate, OperandError);      // its bound holds in any order
            return;
        }
        View<T> x = new(a), y = new(b), z = new(c);
        for (var i = 0; i < z.Rows; i++)
            for (var j = 0; j < z.Columns; j++)
            {
                var sum = new Partials<T>(tree);
                for (var leaf = 0; leaf < tree.Leaves; leaf++)
                {
                    var (start, count, joins) = tree[leaf];
                    var chain = accumulate && leaf == 0 ? z[i, j] : Zero;
                    for (var k = start; k < start + count; k++)
                        chain = T.Fma(transposeA ? x[k, i] : x[i, k], transposeB ? y[j, k] : y[k, j], chain);
                    sum.Push(chain, joins);
                }
                if (tree.Leaves > 0 || !accumulate) z[i, j] = sum.Total;
            }
    }
}
