using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Ops;
using Xunit;

namespace SparseExperts.Tests.Autograd;

/// <summary>Gradients that go through unchanged are not copied before one of their owners changes, and no bit of an input's gradient tells.</summary>
public sealed class SharedGradientTests
{
    static float[] Gradient(bool shares, Func<Tape, Tensor, Tensor> run)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend) { SharesGradients = shares };
        var x = tape.Input(backend.Rent(2, 3));
        backend.Write(x.Value, (ReadOnlySpan<float>)[0.5f, -1.25f, 3, 0.1f, 7, -0.3f]);
        tape.Backward(tape.WeightedSum(run(tape, tape.Scale(x, 1.5)), [1, -2, 0.3, 4, 0.7, 1.1]));
        return backend.ToArray(x.Gradient);
    }

    /// <summary>Both terms of a sum go on to other uses of one of them, before and after the other is asked.</summary>
    public static TheoryData<string> Uses => [.. Samples.Keys];

    static readonly Dictionary<string, Func<Tape, Tensor, Tensor>> Samples = new()
    {
        ["twice"] = (t, x) => t.Add(x, x),
        ["a term of another use"] = (t, x) => t.Add(x, t.Multiply(x, x)),
        ["a residual stream"] = (t, x) =>
        {
            var stream = t.Add(x, t.Activate(Activation.Tanh, x));
            return t.Add(stream, t.Multiply(stream, t.Scale(stream, 0.2)));
        },
        ["a term that is changed while the other waits"] = (t, x) =>
        {
            var waits = t.Scale(x, 3);
            var changes = t.Activate(Activation.Sigmoid, waits);
            return t.Add(t.Add(waits, changes), t.Multiply(changes, changes));
        },
    };

    [Theory]
    [MemberData(nameof(Uses))]
    public void Sharing_changes_no_bit(string use) => Assert.Equal(Gradient(false, Samples[use]), Gradient(true, Samples[use]));

    [Fact]
    public void A_sum_copies_no_gradient_that_its_terms_leave_alone()
    {
        using var backend = new Copies(new CpuBackend(1));
        foreach (var (shares, copies) in ((bool, int)[])[(false, 2), (true, 0)])
        {
            using var tape = new Tape(backend) { SharesGradients = shares };
            var x = tape.Input(backend.Rent(2, 3));
            backend.Fill(x.Value, 1);
            var sum = tape.WeightedSum(tape.Add(tape.Scale(x, 2), tape.Scale(x, 3)), [1, 2, 3, 4, 5, 6]);
            backend.Count = 0;
            tape.Backward(sum);
            Assert.Equal(copies, backend.Count);
        }
    }

    sealed class Copies(IBackend inner) : Conformance.DelegatingBackend(inner)
    {
        public int Count { get; set; }

        public override void Copy(Matrix from, Matrix to)
        {
            Count++;
            base.Copy(from, to);
        }
    }
}
