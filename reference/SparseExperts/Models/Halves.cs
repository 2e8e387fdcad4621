using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>What joins the output of half a layer: its input, but where a checker looks for what somebody did instead.</summary>
enum HalfSum { Input, Nothing, Norm, InputTwice }

/// <summary>What half a layer reads through: a norm of squares, but where a checker looks for what somebody did instead.</summary>
enum HalfNorm { OfSquares, None, MeanSubtracted }

static class Halves
{
    /// <summary>What half a layer reads.</summary>
    /// <param name="norm">The norm of squares.</param>
    public static Tensor Read(this HalfNorm kind, InFormat rounded, Tensor x, Func<Tensor, Tensor> norm) => kind switch
    {
        HalfNorm.OfSquares => norm(x),
        HalfNorm.None => x,
        HalfNorm.MeanSubtracted => norm(rounded.LessMean(x)),
        var other => throw new ConfigurationException($"norm of half a layer {other}: unknown"),
    };

    /// <summary>What its output is added to.</summary>
    public static Tensor Under(this HalfSum kind, InFormat rounded, Tensor x, Tensor normed) => kind switch
    {
        HalfSum.Input => x,
        HalfSum.Nothing => rounded.Tape.Scale(x, 0),
        HalfSum.Norm => normed,
        HalfSum.InputTwice => rounded.Scale(x, 2),
        var other => throw new ConfigurationException($"sum of half a layer {other}: unknown"),
    };

    /// <summary>x less the mean of its row, which a norm of layers subtracts and one of squares does not.</summary>
    public static Tensor LessMean(this InFormat rounded, Tensor x)
    {
        double[] centring = [.. Enumerable.Range(0, x.Columns * x.Columns).Select(i => (i / x.Columns == i % x.Columns ? 1 : 0) - 1.0 / x.Columns)];
        var matrix = rounded.Tape.Rent(x.Columns, x.Columns);
        rounded.Tape.Backend.Write(matrix, (ReadOnlySpan<double>)centring);
        return rounded.Round(rounded.Tape.Linear(x, rounded.Tape.Constant(matrix)));
    }
}
