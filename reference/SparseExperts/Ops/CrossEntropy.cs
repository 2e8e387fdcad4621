using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>loss_r = ln Σ_j e^{x_rj} − (1 − s)·x_{r,label} − s·mean_j x_rj; a label of −100 gives 0. The result is [rows, 1].</summary>
    /// <remarks>dx_j = dloss·(softmax_j − s/n − (1 − s)[j = label]).</remarks>
    public static Tensor CrossEntropy(this Tape tape, Tensor logits, Indices labels, double smoothing = 0) =>
        tape.Apply(nameof(CrossEntropy), logits.Rows, 1, [logits],
            losses => tape.Backend.CrossEntropy(logits.Value, labels, smoothing, losses.Value, losses.Save(logits.Rows, 1)),
            losses => tape.Backend.CrossEntropyBackward(
                logits.Value, labels, smoothing, losses.Saved[0], losses.Gradient, logits.GradientTarget(out var add), add));
}
