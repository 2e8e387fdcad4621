using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Checking.Hub;

/// <summary>A layer that does something else, and what that is.</summary>
readonly record struct LayerFault(string Sentence, DecoderLayer With);

/// <summary>Words and matrices that faults of several blocks need.</summary>
static class FaultParts
{
    /// <summary>Values that libraries and checkpoints use for ε.</summary>
    public static readonly double[] Epsilons = [1e-5, 1e-6, 1e-8, 1e-12, 1e-7, 1e-4, 1e-3, 0, 1e-2, 1e-9, 1e-10];

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

    /// <summary>A stack with one matrix of another one that is as large.</summary>
    public static Tensor Replaced(Tape tape, Tensor stack, Tensor other, int count, int only)
    {
        var each = stack.Rows / count;
        int[] rows = [.. Enumerable.Range(0, stack.Rows).Select(r => r / each == only ? stack.Rows + r : r)];
        return tape.GatherRows(tape.StackRows([stack, other]), tape.UploadPlan(rows));
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

    /// <summary>Experts that are looked at one by one, or in pairs.</summary>
    public const int MostExperts = 16;

    /// <summary>Two experts' rows of a router exchanged, which are columns here.</summary>
    /// <param name="place">The layer in words: <c>layer 0</c>.</param>
    public static IEnumerable<(string Sentence, RouterWeights With)> RowsExchanged(Tape tape, RouterWeights router, int experts, string place)
    {
        if (router.Weight is not { } weight) yield break;
        for (var a = 0; a < Math.Min(experts, MostExperts); a++)
            for (var b = a + 1; b < Math.Min(experts, MostExperts); b++)
            {
                int Column(int c) => c == a ? b : c == b ? a : c;
                int[] ids = [.. Enumerable.Range(0, weight.Rows * weight.Columns)
                    .Select(i => i / weight.Columns * weight.Columns + Column(i % weight.Columns))];
                var exchanged = tape.GatherElements(weight, ids, weight.Rows, weight.Columns);
                yield return ($"rows {a} and {b} of the router of {place} exchanged", router with { Weight = exchanged });
            }
    }

    /// <summary>A row of ones like another.</summary>
    public static Tensor Ones(Tape tape, Tensor like) => tape.Constant(tape.Constants.Ones(like.Columns).Reshape(1, like.Columns));
}
