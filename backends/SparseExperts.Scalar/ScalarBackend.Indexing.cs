namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        Check.GatherRows(this, x, rows, y, accumulate);
        var index = Integers(rows);
        _faults.Look("GatherRows", index, x.Rows, -1);
        AnyView<T> a = new(x), b = new(y);
        for (var r = 0; r < y.Rows; r++)
            for (var j = 0; j < y.Columns; j++)
            {
                var value = Names(index[r], x.Rows) ? a[index[r], j] : Zero;
                b[r, j] = accumulate ? b[r, j] + value : value;
            }
    }

    public void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        Check.RowIndices(this, "ScatterAddRows", x, y, rows, x.Rows);
        var index = Integers(rows);
        _faults.Look("ScatterAddRows", index, y.Rows, -1);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
            if (Names(index[r], b.Rows))
                for (var j = 0; j < a.Columns; j++) b[index[r], j] += a[r, j];
    }

    public void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence)
    {
        Check.RowIndices(this, "ScatterAddTokens", x, y, rows, x.Rows);
        Check.Sequence("ScatterAddTokens", sequence);
        var index = Integers(rows);
        _faults.Look("ScatterAddTokens", index, y.Rows, -1);
        View<T> a = new(x), b = new(y);
        var tree = new SumTree(a.Rows, sequence);
        for (var i = 0; i < b.Rows; i++)
        {
            if (!index.Contains(i)) continue;
            for (var j = 0; j < b.Columns; j++)
            {
                var sum = new Partials<T>(tree);
                for (var leaf = 0; leaf < tree.Leaves; leaf++)
                {
                    var (start, count, joins) = tree[leaf];
                    var chain = Zero;
                    for (var r = start; r < start + count; r++)
                        if (index[r] == i) chain += a[r, j];
                    sum.Push(chain, joins);
                }
                b[i, j] += sum.Total;
            }
        }
    }

    public void GatherColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "GatherColumns", x, y);
        Check.Owned(this, "GatherColumns", columns, x.Rows);
        Check.Shape("GatherColumns", "Y", y, x.Rows, 1);
        var index = Integers(columns);
        _faults.Look("GatherColumns", index, x.Columns, -1);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++) b[r, 0] = Names(index[r], a.Columns) ? a[r, index[r]] : Zero;
    }

    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y)
    {
        Check.Owned(this, "ScatterAddColumns", x, y);
        Check.Owned(this, "ScatterAddColumns", columns, y.Rows);
        Check.Shape("ScatterAddColumns", "X", x, y.Rows, 1);
        var index = Integers(columns);
        _faults.Look("ScatterAddColumns", index, y.Columns, -1);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
            if (Names(index[r], b.Columns)) b[r, index[r]] += a[r, 0];
    }

    /// <summary>Whether an index names one of so many; what does not means none.</summary>
    static bool Names(int index, int count) => (uint)index < (uint)count;
}
