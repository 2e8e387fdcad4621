using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Hub;

/// <summary>A layer that does something else, and what that is.</summary>
readonly record struct LayerFault(string Sentence, DecoderLayer With);

/// <summary>Words and matrices that faults of several blocks need.</summary>
static class FaultParts
{
    /// <summary>Values that libraries and checkpoints use for ε.</summary>
    public static readonly double[] Epsilons = [1e-5, 1e-6, 1e-8, 1e-12, 1e-7, 1e-4, 1e-3, 0];

    /// <summary>Non-linearities that feed-forward layers have.</summary>
    public static readonly Activation[] Activations =
        [Activation.Silu, Activation.GeluErf, Activation.GeluTanh, Activation.Relu, Activation.Sigmoid, Activation.Identity];

    /// <summary>The name of a non-linearity.</summary>
    public static string Word(Activation kind) => kind switch
    {
        Activation.GeluErf => "gelu",
        Activation.GeluTanh => "gelu_tanh",
        _ => kind.ToString().ToLowerInvariant(),
    };

    /// <summary>A number as people write it: 1e6, 10000, 0.25.</summary>
    public static string Number(double value)
    {
        if (value is >= 1e5 or <= -1e5 || value != 0 && Math.Abs(value) < 1e-3)
            return value.ToString("0.####e0", CultureInfo.InvariantCulture);
        return value.ToString("0.######", CultureInfo.InvariantCulture);
    }

    /// <summary>Wᵀ where W is square, else null.</summary>
    public static Projected? Transposed(Tape tape, Projected by) =>
        by.Weight.Rows == by.Weight.Columns ? by with { Weight = tape.Transpose(by.Weight) } : null;

    /// <summary>Whether two matrices could stand in each other's place.</summary>
    public static bool AreAlike(Projected a, Projected b) => a.Weight.Rows == b.Weight.Rows && a.Weight.Columns == b.Weight.Columns;

    /// <summary>A stack of matrices in another order.</summary>
    /// <param name="from">The matrix that stands in a place.</param>
    public static Tensor? Placed(Tape tape, Tensor? stack, int count, Func<int, int> from)
    {
        if (stack is null) return null;
        var each = stack.Rows / count;
        return tape.GatherRows(stack, tape.UploadPlan([.. Enumerable.Range(0, stack.Rows).Select(r => from(r / each) * each + r % each)]));
    }

    /// <summary>Every matrix of a stack turned, where they are square, else null.</summary>
    public static Tensor? Turned(Tape tape, Tensor stack, int count, int? only = null)
    {
        int rows = stack.Rows / count, columns = stack.Columns;
        if (rows != columns) return null;
        int[] ids = [.. Enumerable.Range(0, stack.Rows * columns).Select(i =>
        {
            var (r, c) = (i / columns, i % columns);
            return only is { } one && r / rows != one ? i : (r / rows * rows + c) * columns + r % rows;
        })];
        return tape.GatherElements(stack, ids, stack.Rows, columns);
    }

    /// <summary>A row of ones like another.</summary>
    public static Tensor Ones(Tape tape, Tensor like) => tape.Constant(tape.Constants.Ones(like.Columns).Reshape(1, like.Columns));
}
