namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second);
        View<T> p = new(parameter), g = new(gradient), m = new(first), v = new(second);
        T decay = T.Of(step.Decay), factor = T.Of(step.Factor), keep2 = T.Of(step.Beta2), new1 = T.Of(1 - step.Beta1), new2 = T.Of(1 - step.Beta2);
        T size = T.Of(-step.StepSize), root = T.Of(step.RootCorrection2), epsilon = T.Of(step.Epsilon);
        for (var r = 0; r < p.Rows; r++)
            for (var j = 0; j < p.Columns; j++)
            {
                var gradientHere = factor * g[r, j];
                m[r, j] = T.Fma(new1, gradientHere - m[r, j], m[r, j]);
                v[r, j] = T.Fma(new2 * gradientHere, gradientHere, keep2 * v[r, j]);
                p[r, j] = T.Fma(size, m[r, j] / (T.Sqrt(v[r, j]) / root + epsilon), decay * p[r, j]);
            }
    }
}
