namespace SparseExperts.Cuda;

/// <summary>
/// Products by cuBLAS, faster and in an order of its own, where another precision than exact was asked for and nobody wants exact ones. Attention's
/// products are the kernels' always.
/// </summary>
public sealed partial class CudaBackend
{
    int _exactly;

    bool ByCublas => _precision != Precision.Exact && _exactly == 0;

    public IDisposable Exactly()
    {
        _exactly++;
        return new ExactScope(this);
    }

    sealed class ExactScope(CudaBackend backend) : IDisposable
    {
        public void Dispose() => backend._exactly--;
    }

    static ProductPrecision Factors(Precision precision) => precision switch
    {
        Precision.F32 => ProductPrecision.Float32,
        Precision.Tf32 => ProductPrecision.Tf32,
        Precision.Bf16 => ProductPrecision.BFloat16,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "cuBLAS has no such products"),
    };

    /// <summary>cuBLAS stores columns, so it is asked for Cᵀ = op(B)ᵀ·op(A)ᵀ, whose columns are the rows of C.</summary>
    GemmCall Call(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) => new(
        transposeB, transposeA, c.Columns, c.Rows, transposeA ? a.Rows : a.Columns, 1,
        Pointer(b), Leading(b), Pointer(a), Leading(a), accumulate ? 1 : 0, Pointer(c), Leading(c), Factors(_precision));

    static int Leading(Matrix matrix) => Math.Max(1, Math.Max(matrix.Stride, matrix.Columns));

    void CublasGemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        if (c.Count > 0) Driver.Gemm(Call(a, transposeA, b, transposeB, c, accumulate), _stream);
    }

    /// <summary>cuBLAS wants sizes from the host.</summary>
    void CublasGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices made, bool accumulate)
    {
        var offsets = Integers(made);
        List<GemmCall> calls = [];
        var groups = offsets.Length - 1;
        for (var g = 0; g < groups && c.Columns > 0; g++)
        {
            int start = offsets[g], count = offsets[g + 1] - start, rows = b.Rows / groups;
            if (count > 0) calls.Add(Call(a.RowRange(start, count), false, b.RowRange(g * rows, rows), transposeB, c.RowRange(start, count), accumulate));
        }
        if (calls.Count > 0) Driver.GemmGrouped([.. calls], _stream);
    }

    void CublasGroupedOuter(Matrix a, Matrix c, Matrix b, Indices made, bool accumulate)
    {
        var offsets = Integers(made);
        List<GemmCall> calls = [];
        for (var g = 0; g < offsets.Length - 1 && c.Columns > 0 && a.Columns > 0; g++)
        {
            int start = offsets[g], count = offsets[g + 1] - start;
            var target = b.RowRange(g * a.Columns, a.Columns);
            if (count > 0) calls.Add(Call(a.RowRange(start, count), true, c.RowRange(start, count), false, target, accumulate));
            else if (!accumulate) Fill(target, 0);
        }
        if (calls.Count > 0) Driver.GemmGrouped([.. calls], _stream);
    }
}
