namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale)
    {
        Check.Norm(this, "RmsNorm", x, weight, y, scale, 1);
        View<T> a = new(x), w = new(weight), b = new(y), s = new(scale);
        T n = T.Of(a.Columns), e = T.Of(epsilon);
        for (var r = 0; r < a.Rows; r++)
        {
            s[r, 0] = One / T.Sqrt(Dot(a, a, r) / n + e);
            for (var j = 0; j < a.Columns; j++) b[r, j] = a[r, j] * s[r, 0] * w[0, j];
        }
    }

    public void RmsNormBackward(
        Matrix x,
        Matrix weight,
        Matrix scale,
        Matrix dy,
        int sequence,
        Matrix dx,
        bool accumulateX,
        Matrix dWeight,
        bool accumulateWeight)
    {
        Check.Norm(this, "RmsNormBackward", x, weight, dy, scale, 1);
        Check.Norm(this, "RmsNormBackward", x, dWeight, dx, scale, 1);
        Check.Sequence("RmsNormBackward", sequence);
        View<T> a = new(x), w = new(weight), s = new(scale), g = new(dy), d = new(dx), dw = new(dWeight);
        var n = T.Of(a.Columns);
        for (var r = 0; r < a.Rows; r++)
        {
            var lanes = new Lanes<T>();
            for (var j = 0; j < a.Columns; j++) lanes.AddProduct(j, g[r, j] * w[0, j], a[r, j] * s[r, 0]);
            var mean = lanes.Join() / n;
            for (var j = 0; j < a.Columns; j++)
                Put(ref d[r, j], s[r, 0] * T.Fma(-(a[r, j] * s[r, 0]), mean, g[r, j] * w[0, j]), accumulateX);
        }
        var tree = new SumTree(a.Rows, sequence);
        for (var j = 0; j < a.Columns; j++)
        {
            var sum = new Partials<T>(tree);
            for (var leaf = 0; leaf < tree.Leaves; leaf++)
            {
                var (start, count, joins) = tree[leaf];
                var chain = Zero;
                for (var r = start; r < start + count; r++) chain = T.Fma(g[r, j], a[r, j] * s[r, 0], chain);
                sum.Push(chain, joins);
            }
            Put(ref dw[0, j], sum.Total, accumulateWeight);
        }
    }

    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics)
    {
        Check.Norm(this, "LayerNorm", x, weight, y, statistics, 2);
        Check.Norm(this, "LayerNorm", x, bias, y, statistics, 2);
        View<T> a = new(x), w = new(weight), c = new(bias), b = new(y), s = new(statistics);
        T n = T.Of(a.Columns), e = T.Of(epsilon);
        for (var r = 0; r < a.Rows; r++)
        {
            var mean = s[r, 0] = Sum(a, r) / n;
            var lanes = new Lanes<T>();
            for (var j = 0; j < a.Columns; j++) lanes.AddProduct(j, a[r, j] - mean, a[r, j] - mean);
            var scale = s[r, 1] = One / T.Sqrt(lanes.Join() / n + e);
            for (var j = 0; j < a.Columns; j++) b[r, j] = T.Fma((a[r, j] - mean) * scale, w[0, j], c[0, j]);
        }
    }

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters)
    {
        Check.Norm(this, "LayerNormBackward", x, weight, dy, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dWeight, dx, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dBias, dx, statistics, 2);
        Check.Sequence("LayerNormBackward", sequence);
        View<T> a = new(x), w = new(weight), s = new(statistics), g = new(dy), d = new(dx), dw = new(dWeight), db = new(dBias);
        var n = T.Of(a.Columns);
        for (var r = 0; r < a.Rows; r++)
        {
            Lanes<T> plain = new(), scaled = new();
            for (var j = 0; j < a.Columns; j++)
            {
                var slope = g[r, j] * w[0, j];
                plain.Add(j, slope);
                scaled.AddProduct(j, slope, (a[r, j] - s[r, 0]) * s[r, 1]);
            }
            T mean = plain.Join() / n, along = scaled.Join() / n;
            for (var j = 0; j < a.Columns; j++)
            {
                var hat = (a[r, j] - s[r, 0]) * s[r, 1];
                Put(ref d[r, j], s[r, 1] * T.Fma(-hat, along, g[r, j] * w[0, j] - mean), accumulateX);
            }
        }
        var tree = new SumTree(a.Rows, sequence);
        for (var j = 0; j < a.Columns; j++)
        {
            Partials<T> slope = new(tree), offset = new(tree);
            for (var leaf = 0; leaf < tree.Leaves; leaf++)
            {
                var (start, count, joins) = tree[leaf];
                T slopes = Zero, offsets = Zero;
                for (var r = start; r < start + count; r++)
                {
                    slopes = T.Fma(g[r, j], (a[r, j] - s[r, 0]) * s[r, 1], slopes);
                    offsets += g[r, j];
                }
                slope.Push(slopes, joins);
                offset.Push(offsets, joins);
            }
            Put(ref dw[0, j], slope.Total, accumulateParameters);
            Put(ref db[0, j], offset.Total, accumulateParameters);
        }
    }
}
