using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// Ops of weights as they are kept. Where that is in two bytes, a part of the weight at a time is widened, exactly, so that no copy of it exists: the bits
/// are those of the wide weight, for every number of a product is a chain of its own.
/// </summary>
static class KeptWeights
{
    /// <summary>Numbers that are widened at once, 1 MiB: they stay in a core's cache.</summary>
    const int AtOnce = 1 << 18;

    /// <summary>Y = X·W, or X·Wᵀ.</summary>
    public static void Multiply(this IBackend backend, Matrix x, Tensor w, bool transpose, Matrix y)
    {
        if (w is Parameter { IsNarrow: true } kept) backend.MultiplyKept(x, kept.Stored, transpose, y);
        else backend.Gemm(x, false, w.Value, transpose, y, false);
    }

    /// <summary>Y_e = X_e·W_e in groups of rows; rows of no group give 0.</summary>
    public static void MultiplyGroups(this IBackend backend, Matrix x, Tensor w, Matrix y, GroupOffsets offsets)
    {
        if (w is not Parameter { IsNarrow: true } kept)
        {
            backend.GemmGrouped(x, w.Value, false, y, offsets.OnBackend, false);
            return;
        }
        if (backend.Info.HasOwnMemory)                              // where the host would wait for the offsets
        {
            Widened(backend, kept.Stored, wide => backend.GemmGrouped(x, wide, false, y, offsets.OnBackend, false));
            return;
        }
        var rows = offsets.OnHost();
        backend.Fill(y.RowRange(0, rows[0]), 0);
        backend.Fill(y.RowRange(rows[^1], y.Rows - rows[^1]), 0);
        for (var e = 0; e + 1 < rows.Length; e++)
        {
            var (first, count) = (rows[e], rows[e + 1] - rows[e]);
            if (count == 0) continue;
            backend.MultiplyKept(x.RowRange(first, count), kept.Stored.RowRange(e * x.Columns, x.Columns), false, y.RowRange(first, count));
        }
    }

    /// <summary>Rows of a table.</summary>
    public static void Gather(this IBackend backend, Tensor table, Indices ids, Matrix y)
    {
        if (table is not Parameter { IsNarrow: true } kept)
        {
            backend.GatherRows(table.Value, ids, y, false);
            return;
        }
        var narrow = backend.Rent(y.Rows, y.Columns, kept.Type);
        backend.GatherRows(kept.Stored, ids, narrow, false);
        backend.Cast(narrow, y);
        backend.Return(narrow.Storage);
    }

    static void MultiplyKept(this IBackend backend, Matrix x, Matrix w, bool transpose, Matrix y)
    {
        var columns = Math.Clamp(AtOnce / Math.Max(1, x.Columns), 1, y.Columns);
        for (var first = 0; first < y.Columns; first += columns)
        {
            var count = Math.Min(columns, y.Columns - first);
            Widened(backend, transpose ? w.RowRange(first, count) : w.ColumnRange(first, count),
                wide => backend.Gemm(x, false, wide, transpose, y.ColumnRange(first, count), false));
        }
    }

    static void Widened(IBackend backend, Matrix narrow, Action<Matrix> use)
    {
        var wide = backend.Rent(narrow.Rows, narrow.Columns);
        backend.Cast(narrow, wide);
        use(wide);
        backend.Return(wide.Storage);
    }
}
