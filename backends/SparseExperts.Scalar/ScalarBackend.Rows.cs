namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Softmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "Softmax", x, y);
        Check.Same("Softmax", "X", x, "Y", y);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
        {
            var (at, max, sum) = ExpSum(a, r);
            for (var j = 0; j < a.Columns; j++) b[r, j] = T.Exp(Below(a[r, j], max, j == at)) / sum;
        }
    }

    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "SoftmaxBackward", y, dy, dx);
        Check.Same("SoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("SoftmaxBackward", "Y", y, "dX", dx);
        View<T> p = new(y), g = new(dy), d = new(dx);
        for (var r = 0; r < p.Rows; r++)
        {
            var dot = Dot(g, p, r);
            for (var j = 0; j < p.Columns; j++) Put(ref d[r, j], p[r, j] * (g[r, j] - dot), accumulate);
        }
    }

    public void LogSoftmax(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSoftmax", x, y);
        Check.Same("LogSoftmax", "X", x, "Y", y);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
        {
            var (at, max, sum) = ExpSum(a, r);
            var log = T.Log(sum);
            for (var j = 0; j < a.Columns; j++) b[r, j] = Below(a[r, j], max, j == at) - log;
        }
    }

    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSoftmaxBackward", y, dy, dx);
        Check.Same("LogSoftmaxBackward", "Y", y, "dY", dy);
        Check.Same("LogSoftmaxBackward", "Y", y, "dX", dx);
        View<T> l = new(y), g = new(dy), d = new(dx);
        for (var r = 0; r < l.Rows; r++)
        {
            var sum = Sum(g, r);
            for (var j = 0; j < l.Columns; j++) Put(ref d[r, j], T.Fma(-T.Exp(l[r, j]), sum, g[r, j]), accumulate);
        }
    }

    public void LogSumExp(Matrix x, Matrix y)
    {
        Check.Owned(this, "LogSumExp", x, y);
        Check.Shape("LogSumExp", "Y", y, x.Rows, 1);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++) b[r, 0] = LogSumExp(a, r);
    }

    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "LogSumExpBackward", x, y, dy, dx);
        Check.Shape("LogSumExpBackward", "Y", y, x.Rows, 1);
        Check.Same("LogSumExpBackward", "Y", y, "dY", dy);
        Check.Same("LogSumExpBackward", "X", x, "dX", dx);
        View<T> a = new(x), b = new(y), g = new(dy), d = new(dx);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) Put(ref d[r, j], g[r, 0] * T.Exp(a[r, j] - b[r, 0]), accumulate);
    }

    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        Check.CrossEntropy(this, "CrossEntropy", logits, labels, smoothing, losses, logSums);
        var label = Integers(labels);
        _faults.Look("CrossEntropy", label, logits.Columns, -100);
        View<T> x = new(logits), loss = new(losses), lse = new(logSums);
        T s = T.Of(smoothing), rest = T.Of(1 - smoothing), n = T.Of(x.Columns);
        for (var r = 0; r < x.Rows; r++)
        {
            lse[r, 0] = LogSumExp(x, r);
            loss[r, 0] = !Names(label[r], x.Columns) ? Zero
                : smoothing == 0 ? lse[r, 0] - x[r, label[r]]
                : lse[r, 0] - T.Fma(rest, x[r, label[r]], s * (Sum(x, r) / n));
        }
    }

    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate)
    {
        Check.CrossEntropy(this, "CrossEntropyBackward", logits, labels, smoothing, dLosses, logSums);
        Check.Owned(this, "CrossEntropyBackward", dLogits);
        Check.Same("CrossEntropyBackward", "logits", logits, "dLogits", dLogits);
        var label = Integers(labels);
        _faults.Look("CrossEntropyBackward", label, logits.Columns, -100);
        View<T> x = new(logits), lse = new(logSums), g = new(dLosses), d = new(dLogits);
        T spread = T.Of(smoothing / logits.Columns), rest = T.Of(1 - smoothing);
        for (var r = 0; r < x.Rows; r++)
            for (var j = 0; j < x.Columns; j++)
            {
                var slope = T.Exp(x[r, j] - lse[r, 0]) - spread;
                if (j == label[r]) slope -= rest;
                Put(ref d[r, j], Names(label[r], x.Columns) ? g[r, 0] * slope : Zero, accumulate);
            }
    }

    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate)
    {
        Check.Owned(this, "SumColumns", x, y);
        Check.Shape("SumColumns", "Y", y, 1, x.Columns);
        Check.Sequence("SumColumns", sequence);
        View<T> a = new(x), b = new(y);
        var tree = new SumTree(a.Rows, sequence);
        for (var j = 0; j < a.Columns; j++)
        {
            var sum = new Partials<T>(tree);
            for (var leaf = 0; leaf < tree.Leaves; leaf++)
            {
                var (start, count, joins) = tree[leaf];
                var chain = Zero;
                for (var r = start; r < start + count; r++) chain += a[r, j];
                sum.Push(chain, joins);
            }
            Put(ref b[0, j], sum.Total, accumulate);
        }
    }

    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate)
    {
        Check.Owned(this, "ScaleRows", x, s, y);
        Check.Shape("ScaleRows", "S", s, x.Rows, 1);
        Check.Same("ScaleRows", "X", x, "Y", y);
        View<T> a = new(x), f = new(s), b = new(y);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) b[r, j] = accumulate ? T.Fma(a[r, j], f[r, 0], b[r, j]) : a[r, j] * f[r, 0];
    }

    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate)
    {
        Check.Owned(this, "RowDots", a, b, y);
        Check.Same("RowDots", "A", a, "B", b);
        Check.Shape("RowDots", "Y", y, a.Rows, 1);
        View<T> u = new(a), v = new(b), d = new(y);
        for (var r = 0; r < u.Rows; r++) Put(ref d[r, 0], Dot(u, v, r), accumulate);
    }

    public void RunSquares(Matrix x, Indices offsets, Matrix y)
    {
        Check.RunSquares(this, x, offsets, y);
        var bounds = Integers(offsets);
        _faults.Look("RunSquares", bounds, x.Columns, null);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < b.Rows; r++)
        {
            var lanes = new Lanes<T>();
            var start = Math.Clamp(bounds[r], 0, a.Columns);
            for (var k = start; k < Math.Min(bounds[r + 1], a.Columns); k++) lanes.AddProduct(k - start, a[0, k], a[0, k]);
            b[r, 0] = lanes.Join();
        }
    }

    /// <summary>Where the maximum lies (first wins, NaN never), max_j x_j and Σ_j e^{x_j − max}.</summary>
    static (int At, T Max, T Sum) ExpSum(View<T> x, int row)
    {
        var (at, max) = (-1, NegativeInfinity);
        for (var j = 0; j < x.Columns; j++)
            if (x[row, j].Value > max.Value) (at, max) = (j, x[row, j]);
        var lanes = new Lanes<T>();
        for (var j = 0; j < x.Columns; j++) lanes.Add(j, T.Exp(Below(x[row, j], max, j == at)));
        return (at, max, lanes.Join());
    }

    /// <summary>x − max: of the maximum itself exactly 0, whatever is known of it.</summary>
    static T Below(T x, T max, bool isMax) => isMax && double.IsFinite(max.Value) ? Zero : x - max;

    static T LogSumExp(View<T> x, int row)
    {
        var (_, max, sum) = ExpSum(x, row);
        return max + T.Log(sum);
    }

    static T Sum(View<T> x, int row)
    {
        var lanes = new Lanes<T>();
        for (var j = 0; j < x.Columns; j++) lanes.Add(j, x[row, j]);
        return lanes.Join();
    }

    static T Dot(View<T> a, View<T> b, int row)
    {
        var lanes = new Lanes<T>();
        for (var j = 0; j < a.Columns; j++) lanes.AddProduct(j, a[row, j], b[row, j]);
        return lanes.Join();
    }
}
