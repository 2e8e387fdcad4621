namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
    {
        Check.StepFactor(this, squares, loss, before, y);
        View<T> s = new(squares), l = new(loss), b = new(before), d = new(y);
        var groups = Enumerable.Range(0, 16).Select(_ => new Lanes<T>()).ToArray();
        for (var i = 0; i < s.Rows; i++) groups[i / 16 % 16].Add(i, s[i, 0]);
        var all = new Lanes<T>();
        for (var g = 0; g < groups.Length; g++) all.Add(g, groups[g].Join());

        var norm = T.Sqrt(all.Join());
        var isTaken = double.IsFinite(norm.Value) && double.IsFinite(l[0, 0].Value) && double.IsFinite(b[0, 0].Value) && !_faults.IsSet;
        d[0, 0] = !isTaken ? T.Of(double.NaN) : clip == 0 ? One : AtMost(T.Of(clip) / (norm + T.Of(1e-6)), One);
        d[0, 1] = norm;
        d[0, 2] = l[0, 0];
    }

    static bool IsLeftOut(Matrix factor) => !double.IsFinite(new View<T>(factor)[0, 0].Value);

    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second, factor);
        if (IsLeftOut(factor)) return;
        View<T> p = new(parameter), g = new(gradient), m = new(first), v = new(second);
        T decay = T.Of(step.Decay), scale = new View<T>(factor)[0, 0], keep2 = T.Of(step.Beta2), new1 = T.Of(1 - step.Beta1), new2 = T.Of(1 - step.Beta2);
        T size = T.Of(-step.StepSize), root = T.Of(step.RootCorrection2), epsilon = T.Of(step.Epsilon);
        for (var r = 0; r < p.Rows; r++)
            for (var j = 0; j < p.Columns; j++)
            {
                var gradientHere = scale * g[r, j];
                m[r, j] = T.Fma(new1, gradientHere - m[r, j], m[r, j]);
                v[r, j] = T.Fma(new2 * gradientHere, gradientHere, keep2 * v[r, j]);
                p[r, j] = T.Fma(size, m[r, j] / (T.Sqrt(v[r, j]) / root + epsilon), decay * p[r, j]);
            }
    }
}
