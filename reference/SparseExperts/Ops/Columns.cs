using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>Columns first … first + count − 1.</summary>
    /// <remarks>dX has dY added there.</remarks>
    public static Tensor Columns(this Tape tape, Tensor x, int first, int count) => tape.Apply(nameof(Columns), x.Rows, count, [x],
        y => tape.Backend.Copy(x.Value.ColumnRange(first, count), y.Value),
        y =>
        {
            var own = x.GradientSum().ColumnRange(first, count);
            tape.Backend.Add(own, y.Gradient, own);
        });

    /// <summary>Matrices of as many rows side by side.</summary>
    /// <remarks>Each takes its columns of dY.</remarks>
    public static Tensor JoinColumns(this Tape tape, IReadOnlyList<Tensor> parts)
    {
        return tape.Apply(nameof(JoinColumns), parts[0].Rows, parts.Sum(p => p.Columns), [.. parts],
            y => Each(y.Value, (part, own) => tape.Backend.Copy(part.Value, own)),
            y => Each(y.Gradient, (part, own) =>
            {
                if (part.RequiresGradient) tape.Pass(own, part);
            }));

        void Each(Matrix all, Action<Tensor, Matrix> use)
        {
            var first = 0;
            foreach (var part in parts)
            {
                use(part, all.ColumnRange(first, part.Columns));
                first += part.Columns;
            }
        }
    }
}
