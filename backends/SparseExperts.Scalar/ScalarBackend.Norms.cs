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

    public void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, Matrix dx, bool accumulateX, Matrix dWeight, bool accumulateWeight)
    {
        Check.Norm(this, "RmsNormBackward", x, weight, dy, scale, 1);
        Check.Norm(this, "RmsNormBackward", x, dWeight, dx, scale, 1);
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
        for (var j = 0; j < a.Columns; j++)
        {
            var sum = accumulateWeight ? dw[0, j] : Zero;
            for (var r = 0; r < a.Rows; r++) sum = T.Fma(g[r, j], a[r, j] * s[r, 0], sum);
            dw[0, j] = sum;
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

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, Matrix dx, bool accumulateX, Matrix dWeight, Matrix dBias, bool accumulateParameters)
    {
        Check.Norm(this, "LayerNormBackward", x, weight, dy, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dWeight, dx, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dBias, dx, statistics, 2);
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
        for (var j = 0; j < a.Columns; j++)
        {
            T sum = accumulateParameters ? dw[0, j] : Zero, offset = accumulateParameters ? db[0, j] : Zero;
            for (var r = 0; r < a.Rows; r++)
            {
                sum = T.Fma(g[r, j], (a[r, j] - s[r, 0]) * s[r, 1], sum);
                offset += g[r, j];
            }
            (dw[0, j], db[0, j]) = (sum, offset);
        }
    }
}
