namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.Adafactor(this, parameter, gradient, rows, columns, momentum, factor);
        if (parameter.Count == 0 || IsLeftOut(factor)) return;
        View<T> g = new(gradient), r = new(rows), c = new(columns);
        int matrices = c.Rows, height = g.Rows / matrices, width = g.Columns;
        T scale = new View<T>(factor)[0, 0], epsilon = T.Of(step.Epsilon), keep = T.Of(step.Decay);

        // R_i ← β₂R_i + (1−β₂)/n · Σ_j q_ij
        var freshRow = T.Of((1 - step.Decay) / width);
        for (var i = 0; i < g.Rows; i++)
        {
            var lanes = new Lanes<T>();
            for (var j = 0; j < width; j++) lanes.Add(j, Square(scale * g[i, j], epsilon));
            r[i, 0] = T.Fma(freshRow, lanes.Join(), keep * r[i, 0]);
        }

        // C_sj ← β₂C_sj + (1−β₂)/m · Σ_i q_ij
        var freshColumn = T.Of((1 - step.Decay) / height);
        var tree = new SumTree(height, height);
        for (var s = 0; s < matrices; s++)
            for (var j = 0; j < width; j++)
            {
                var sum = new Partials<T>(tree);
                for (var leaf = 0; leaf < tree.Leaves; leaf++)
                {
                    var (start, count, joins) = tree[leaf];
                    var chain = Zero;
                    for (var i = start; i < start + count; i++) chain += Square(scale * g[s * height + i, j], epsilon);
                    sum.Push(chain, joins);
                }
                c[s, j] = T.Fma(freshColumn, sum.Total, keep * c[s, j]);
            }

        // u_ij = g_ij · √(mean R / R_i) · 1/√C_sj
        var update = new T[g.Rows * width];
        for (var s = 0; s < matrices; s++)
        {
            var lanes = new Lanes<T>();
            for (var i = 0; i < height; i++) lanes.Add(i, r[s * height + i, 0]);
            var mean = lanes.Join() / T.Of(height);
            for (var i = s * height; i < (s + 1) * height; i++)
            {
                var ofRow = T.Sqrt(mean / r[i, 0]);
                for (var j = 0; j < width; j++) update[i * width + j] = scale * g[i, j] * ofRow * (One / T.Sqrt(c[s, j]));
            }
        }
        Move(parameter, update, matrices, momentum, step);
    }

    public void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.AdafactorUnfactored(this, parameter, gradient, second, momentum, factor);
        if (parameter.Count == 0 || IsLeftOut(factor)) return;
        View<T> g = new(gradient), v = new(second);
        T scale = new View<T>(factor)[0, 0], epsilon = T.Of(step.Epsilon), keep = T.Of(step.Decay), fresh = T.Of(1 - step.Decay);
        var update = new T[g.Rows * g.Columns];
        for (var i = 0; i < g.Rows; i++)
            for (var j = 0; j < g.Columns; j++)
            {
                v[i, j] = T.Fma(fresh, Square(scale * g[i, j], epsilon), keep * v[i, j]);
                update[i * g.Columns + j] = scale * g[i, j] / T.Sqrt(v[i, j]);
            }
        Move(parameter, update, 1, momentum, step);
    }

    static T Square(T g, T epsilon) => T.Fma(g, g, epsilon);

    /// <summary>Clips the update by its root mean square and takes it from the parameter.</summary>
    void Move(Matrix parameter, T[] update, int matrices, Matrix? momentum, in AdafactorStep step)
    {
        var rate = T.Of(step.Rate);
        if (step.LeastScale is { } least) rate *= AtLeast(RootMeanSquare(Elements(parameter), matrices, parameter.Columns), T.Of(least));
        var size = rate / AtLeast(RootMeanSquare(update, matrices, parameter.Columns) / T.Of(step.ClipThreshold), One);
        var keep = T.Fma(-T.Of(step.WeightDecay), rate, One);

        var p = new View<T>(parameter);
        T keepMomentum = T.Of(step.Beta1), freshMomentum = T.Of(1 - step.Beta1);
        for (var i = 0; i < p.Rows; i++)
            for (var j = 0; j < p.Columns; j++)
            {
                var x = size * update[i * p.Columns + j];
                if (momentum is { } kept)
                {
                    var m = new View<T>(kept);
                    m[i, j] = x = T.Fma(freshMomentum, x, keepMomentum * m[i, j]);
                }
                p[i, j] = T.Fma(keep, p[i, j], -x);
            }
    }

    /// <summary>√(Σ x² / count): the squares of a row, the rows of a matrix and the matrices in 16 lanes each.</summary>
    static T RootMeanSquare(T[] values, int matrices, int width)
    {
        var height = values.Length / width / matrices;
        var all = new Lanes<T>();
        for (var s = 0; s < matrices; s++)
        {
            var ofMatrix = new Lanes<T>();
            for (var i = 0; i < height; i++)
            {
                var ofRow = new Lanes<T>();
                for (var j = 0; j < width; j++)
                {
                    var x = values[(s * height + i) * width + j];
                    ofRow.AddProduct(j, x, x);
                }
                ofMatrix.Add(i, ofRow.Join());
            }
            all.Add(s, ofMatrix.Join());
        }
        return T.Sqrt(all.Join() / T.Of(values.Length));
    }

    /// <summary>x, but not less than <paramref name="least"/>; NaN stays.</summary>
    static T AtLeast(T x, T least) => x.Value < least.Value
        ? T.Chosen(least, x, x, least.Value - x.Value)
        : T.Chosen(x, least, x, x.Value - least.Value);

    /// <summary>x, but not more than <paramref name="most"/>.</summary>
    static T AtMost(T x, T most) => x.Value < most.Value
        ? T.Chosen(x, most, x, most.Value - x.Value)
        : T.Chosen(most, x, x, x.Value - most.Value);
}
