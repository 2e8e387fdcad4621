using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y_j = e^{x_j − max} / Σ_k e^{x_k − max}, per row.</summary>
    /// <remarks>dx_j = y_j (dy_j − Σ_k dy_k y_k).</remarks>
    public static Tensor Softmax(this Tape tape, Tensor x) => tape.Apply(nameof(Softmax), x.Rows, x.Columns, [x],
        y => tape.Backend.Softmax(x.Value, y.Value),
        y => tape.Backend.SoftmaxBackward(y.Value, y.Gradient, x.GradientTarget(out var add), add));

    /// <summary>y_j = x_j − ln Σ_k e^{x_k}, per row.</summary>
    /// <remarks>dx_j = dy_j − e^{y_j} Σ_k dy_k.</remarks>
    public static Tensor LogSoftmax(this Tape tape, Tensor x) => tape.Apply(nameof(LogSoftmax), x.Rows, x.Columns, [x],
        y => tape.Backend.LogSoftmax(x.Value, y.Value),
        y => tape.Backend.LogSoftmaxBackward(y.Value, y.Gradient, x.GradientTarget(out var add), add));

    /// <summary>y = ln Σ_k e^{x_k}, per row; Y is [rows, 1].</summary>
    /// <remarks>dx_j = dy·e^{x_j − y}.</remarks>
    public static Tensor LogSumExp(this Tape tape, Tensor x) => tape.Apply(nameof(LogSumExp), x.Rows, 1, [x],
        y => tape.Backend.LogSumExp(x.Value, y.Value),
        y => tape.Backend.LogSumExpBackward(x.Value, y.Value, y.Gradient, x.GradientTarget(out var add), add));
}
