namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Below this many operations a second thread costs more than it brings.</summary>
    const double WorthForking = 4e5;

    /// <summary>From this many on, parts are smaller than shares, so that a thread that was held up leaves less behind.</summary>
    const double ManyParts = 8e6;

    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(this, "Gemm", a, transposeA, b, transposeB, c);
        var product = ProductOf(a, transposeA, b, transposeB, c, accumulate);
        Split(product, SumTree.OfProduct(product.K));
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        Check.GemmOuter(this, a, b, c, sequence);
        Split(ProductOf(a, true, b, false, c, false) with { Start = accumulate ? Start.AtZeroThenC : Start.AtZero }, new(a.Rows, sequence));
    }

    void Split(Product product, SumTree tree)
    {
        var parts = product.Work < WorthForking ? 1 : product.Work < ManyParts ? Workers.Count : 2 * Workers.Count;
        Workers.Run(parts, new SplitJob { Whole = product, Tree = tree, Parts = parts });
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
        if (groups == 0) return;
        fixed (int* first = starts)
            Workers.Run(groups * 2, new GroupJob
            {
                First = ProductOf(a, false, b.RowRange(0, b.Rows / groups), transposeB, c, accumulate),
                Offsets = first,
                StepB = (long)(b.Rows / groups) * b.Stride,
            });
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        Check.GemmGroupedOuter(this, a, c, b, offsets);
        var starts = Integers(offsets);
        var groups = Check.Groups("GemmGroupedOuter", starts, a.Rows);
        if (groups == 0) return;
        fixed (int* first = starts)
            Workers.Run(groups, new OuterJob
            {
                First = ProductOf(a, true, c, false, b.RowRange(0, a.Columns), accumulate),
                Offsets = first,
                StepC = (long)a.Columns * b.Stride,
            });
    }

    static Product ProductOf(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) => new()
    {
        A = Pointer(a),
        B = Pointer(b),
        C = Pointer(c),
        StrideA = a.Stride,
        StrideB = b.Stride,
        StrideC = c.Stride,
        M = c.Rows,
        N = c.Columns,
        K = transposeA ? a.Rows : a.Columns,
        TransposeA = transposeA,
        TransposeB = transposeB,
        Start = accumulate ? Start.AtC : Start.AtZero,
    };

    /// <summary>
    /// Part <paramref name="part"/> of <paramref name="parts"/> equal shares of <paramref name="count"/> in multiples of <paramref name="unit"/>.
    /// </summary>
    static (int Start, int Count) Share(int count, int parts, int part, int unit)
    {
        var units = (count + unit - 1) / unit;
        int start = Math.Min(count, units * part / parts * unit), end = Math.Min(count, units * (part + 1) / parts * unit);
        return (start, end - start);
    }

    /// <summary>One product, cut along its longer side.</summary>
    struct SplitJob : IJob
    {
        public Product Whole;
        public SumTree Tree;
        public int Parts;

        public readonly void Run(int part)
        {
            if (Whole.M >= Whole.N)
            {
                var (start, count) = Share(Whole.M, Parts, part, 12);
                Whole.Rows(start, count).Run(Tree);
            }
            else
            {
                var (start, count) = Share(Whole.N, Parts, part, 32);
                Whole.Columns(start, count).Run(Tree);
            }
        }
    }

    /// <summary>Row blocks against their own matrix; each group in two halves, so that a popular expert does not keep one thread waiting.</summary>
    struct GroupJob : IJob
    {
        public Product First;
        public int* Offsets;
        public long StepB;

        public readonly void Run(int part)
        {
            var group = part / 2;
            var product = First.Rows(Offsets[group], Offsets[group + 1] - Offsets[group]);
            product.B += group * StepB;
            var (start, count) = Share(product.M, 2, part % 2, 12);
            product.Rows(start, count).Run(SumTree.OfProduct(product.K));
        }
    }

    struct OuterJob : IJob
    {
        public Product First;
        public int* Offsets;
        public long StepC;

        public readonly void Run(int part)
        {
            var product = First;
            product.A += Offsets[part] * First.StrideA;
            product.B += Offsets[part] * First.StrideB;
            product.C += part * StepC;
            product.K = Offsets[part + 1] - Offsets[part];
            product.Run();
        }
    }
}
