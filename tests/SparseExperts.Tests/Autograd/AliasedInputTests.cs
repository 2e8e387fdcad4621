using System.Reflection;
using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Autograd;

/// <summary>
/// Ops of several inputs whose inputs are one tensor, and whose inputs have other uses: every gradient is the sum over all uses, by central
/// differences.
/// </summary>
public sealed class AliasedInputTests
{
    sealed record Sample(string Op, (int Rows, int Columns)[] Shapes, Func<Tape, Tensor[], Tensor> Run);

    static readonly Sample[] Samples =
    [
        new("Add", Square(2), (t, x) => t.Add(x[0], x[1])),
        new("Subtract", Square(2), (t, x) => t.Subtract(x[0], x[1])),
        new("Multiply", Square(2), (t, x) => t.Multiply(x[0], x[1])),
        new("Divide", Square(2), (t, x) => t.Divide(x[0], x[1])),
        new("ScaleRows", [(3, 1), (3, 1)], (t, x) => t.ScaleRows(x[0], x[1])),
        new("Gated", Square(2), (t, x) => t.Gated(Activation.Silu, x[0], x[1])),
        new("Linear", Square(2), (t, x) => t.Linear(x[0], x[1])),
        new("Linear", Square(2), (t, x) => t.Linear(x[0], x[1], transpose: true)),
        new("LinearAdd", Square(3), (t, x) => t.LinearAdd(x[0], x[1], x[2])),
        new("GroupedLinear", Square(2), (t, x) => t.GroupedLinear(x[0], x[1], [0, 3])),
        new("GroupedFeedForward", Square(3), (t, x) => t.GroupedFeedForward(Activation.Tanh, x[0], x[1], x[2], GroupOffsets.Upload(t, [0, 3]))),
        new("LayerNorm", [(1, 4), (1, 4), (1, 4)], (t, x) => t.LayerNorm(x[0], x[1], x[2], 1e-3)),
        new("LayerNorm", [(3, 4), (1, 4), (1, 4)], (t, x) => t.LayerNorm(x[0], x[1], x[2], 1e-3)),
        new("RmsNorm", [(1, 4), (1, 4)], (t, x) => t.RmsNorm(x[0], x[1], 1e-3)),
        new("RmsNorm", [(3, 4), (1, 4)], (t, x) => t.RmsNorm(x[0], x[1], 1e-3)),
        new("SelfAttention", Square(2), (t, x) => t.SelfAttention(AttentionShape.OfSelf(1, 3, 1, 1, 0.7, true), x[0], null, x[1])),
        new("SelfAttention", [(6, 6), (6, 6)], (t, x) =>
            t.SelfAttention(AttentionShape.OfSelf(1, 6, 1, 2, 0.7, false), x[0], RotaryTables.Create(t.Backend, 6, 2), x[1])),
        new("Attention", Square(4), (t, x) => t.Attention(AttentionShape.OfSelf(1, 3, 1, 3, 0.7, true), x[0], x[1], x[2], x[3])),
        new("Attention", [(2, 4), (6, 4), (6, 4), (2, 3)], (t, x) => t.Attention(new(2, 1, 3, 2, 2, 0.7, true), x[0], x[1], x[2], x[3])),
        new("Combine", [(3, 1), (3, 1)], (t, x) => t.Combine(x[0], x[1], new(t, new(1, 1, 1, RoutingPlan.Unlimited, [0, 0, 0], [0, 1, 2])))),
    ];

    static (int, int)[] Square(int count) => [.. Enumerable.Repeat((3, 3), count)];

    /// <summary>Sample, which input stands in the place of each, and which input has another use, if any.</summary>
    public static TheoryData<int, string, int[], int> Cases()
    {
        var cases = new TheoryData<int, string, int[], int>();
        for (var s = 0; s < Samples.Length; s++)
            foreach (var same in Partitions(Samples[s].Shapes))
                for (var other = -1; other < same.Length; other++)
                    if (other < 0 || same[other] == other) cases.Add(s, Samples[s].Op, same, other);
        return cases;
    }

    /// <summary>Every way in which inputs of equal shape can be the same tensor.</summary>
    static IEnumerable<int[]> Partitions((int, int)[] shapes)
    {
        IEnumerable<int[]> all = [[]];
        for (var i = 0; i < shapes.Length; i++)
        {
            var place = i;
            bool CanBe(int[] earlier, int j) => j == place || earlier[j] == j && shapes[j] == shapes[place];
            all = [.. all.SelectMany(p => Enumerable.Range(0, place + 1).Where(j => CanBe(p, j)).Select(j => (int[])[.. p, j]))];
        }
        return all;
    }

    /// <summary>One that is asked for its shape alone is no input.</summary>
    [Fact]
    public void Every_op_of_several_tensors_has_a_sample()
    {
        static int Inputs(MethodInfo op) => op.GetParameters().Count(p => p.ParameterType == typeof(Tensor) && p.Name != "like");
        var ops = typeof(Op).GetMethods(BindingFlags.Public | BindingFlags.Static).Where(m => Inputs(m) > 1).Select(m => m.Name).Distinct();
        Assert.Equal(ops.Order(), Samples.Select(s => s.Op).Distinct().Order());
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_gradient_is_the_sum_over_all_uses(int sample, string op, int[] same, int other)
    {
        var s = Samples[sample];
        double[] Drawn((int Rows, int Columns) shape, int input) =>
            [.. Enumerable.Range(0, shape.Rows * shape.Columns).Select(e => 0.6 + Philox.UniformDouble(new(7, (ulong)input), (ulong)e))];
        double[][] values = [.. s.Shapes.Select(Drawn)];
        using ScalarBackend<Float64> exact = new();
        using ScalarBackend<Tracked> tracked = new();
        var (_, gradients, _) = Run(exact, s, values, same, other);
        var (_, _, errors) = Run(tracked, s, values, same, other);
        var noise = errors[^1][0] * DoubleOverFloat;
        for (var i = 0; i < same.Length; i++)
            for (var e = 0; same[i] == i && e < values[i].Length; e++)
            {
                double Slope(double h) => (LossAt(h) - LossAt(-h)) / (2 * h);
                double[] Moved(double[] v, double by) => [.. v.Select((x, n) => n == e ? x + by : x)];
                double LossAt(double by) => Run(exact, s, [.. values.Select((v, j) => j == i ? Moved(v, by) : v)], same, other).Loss;
                double coarse = Slope(Step), fine = Slope(Step / 2), expected = (4 * fine - coarse) / 3;
                var tolerance = Math.Abs(coarse - fine) + 3 * noise / Step + errors[i][e] * DoubleOverFloat;
                Assert.True(Math.Abs(gradients[i][e] - expected) <= tolerance,
                    $"{op}: d{i}[{e}] is {gradients[i][e]:R}, differences give {expected:R} ± {tolerance:E2}");
            }
    }

    const double Step = 1.0 / (1 << 17);

    /// <summary>Double's rounding over float's, times 16 because the arbiter's functions are good to that many times their share of ulps.</summary>
    const double DoubleOverFloat = 16.0 / (1 << 29);

    /// <summary>Loss, the gradient of every input, and their errors; the loss's own error is the last.</summary>
    static (double Loss, double[][] Gradients, double[][] Errors) Run(IBackend backend, Sample sample, double[][] values, int[] same, int other)
    {
        using var tape = new Tape(backend);
        var distinct = new Tensor[same.Length];
        for (var i = 0; i < same.Length; i++) distinct[i] = same[i] == i ? tape.Input(Written(tape, sample.Shapes[i], values[i])) : distinct[same[i]];
        var y = sample.Run(tape, distinct);
        // After the op, so that its gradient is there first.
        var loss = Weighted(tape, y);
        if (other >= 0) loss = tape.Add(loss, Weighted(tape, tape.Scale(distinct[other], 0.75)));
        tape.Backward(loss);
        double[] Errors(Matrix m)
        {
            var errors = new double[m.Count];
            ((IErrorBounds)backend).ReadErrors(m, errors);
            return errors;
        }
        double[][] gradients = [.. distinct.Select(d => backend.ToDoubles(d.Gradient))];
        return (backend.ToDoubles(loss.Value)[0], gradients, [.. distinct.Select(d => Errors(d.Gradient)), Errors(loss.Value)]);
    }

    static Tensor Weighted(Tape tape, Tensor y) =>
        tape.WeightedSum(y, [.. Enumerable.Range(0, y.Rows * y.Columns).Select(i => Philox.UniformDouble(new(8, 0), (ulong)i) - 0.3)]);

    static Matrix Written(Tape tape, (int Rows, int Columns) shape, double[] values)
    {
        var matrix = tape.Rent(shape.Rows, shape.Columns);
        ((IErrorBounds)tape.Backend).WriteErrors(matrix, values, []);
        return matrix;
    }

    /// <summary>Two cotangents of one output are added.</summary>
    [Fact]
    public void Seeds_of_one_output_add_up()
    {
        using ScalarBackend<Float64> backend = new();
        using var tape = new Tape(backend);
        var x = tape.Input(Written(tape, (1, 2), [3, 4]));
        var y = tape.Scale(x, 2);
        tape.Backward((y, Written(tape, (1, 2), [1, 10])), (y, Written(tape, (1, 2), [100, 1000])));
        Assert.Equal([202, 2020], backend.ToDoubles(x.Gradient));
    }
}
