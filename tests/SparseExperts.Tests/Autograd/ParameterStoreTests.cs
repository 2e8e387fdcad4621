using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Autograd;

public sealed class ParameterStoreTests
{
    [Fact]
    public void Parameters_and_gradients_lie_in_one_storage_each_at_the_same_places()
    {
        using var backend = new CpuBackend(1);
        using var tape = Tape(backend, (3, 5), (1, 7), (4, 16));
        foreach (var parameter in tape.Parameters) parameter.GradientTarget(out _);
        Assert.Single(tape.Parameters.Select(p => p.Value.Storage).Distinct());
        Assert.Single(tape.Parameters.Select(p => p.Gradient.Storage).Distinct());
        Assert.Equal([0, 16, 32], tape.Parameters.Select(p => p.Value.Offset));
        Assert.All(tape.Parameters, p => Assert.Equal(p.Value with { Storage = p.Gradient.Storage }, p.Gradient));
        Assert.All(tape.Parameters, p => Assert.Equal(Numbers(p.Value.Count), backend.ToArray(p.Value)));
    }

    [Fact]
    public void Neighbours_are_one_run_until_it_would_be_too_long()
    {
        using var backend = new CpuBackend(1);
        using var tape = Tape(backend, (1, 16), (1, 30), (1, 16), (1, 16));
        var store = tape.Parameters;
        Assert.Equal([new(0, 80)], store.Runs(_ => true));
        Assert.Equal([new(0, 16), new(48, 32)], store.Runs(p => p.Name != "p1"));
        Assert.Equal([new(0, 48), new(48, 32)], store.Runs(_ => true, longest: 50));
        Assert.Equal([new(0, 16), new(16, 32), new(48, 16), new(64, 16)], store.Runs(_ => true, longest: 1));
        Assert.Empty(store.Runs(_ => false));
    }

    [Fact]
    public void A_parameter_that_comes_after_the_first_use_is_an_error()
    {
        using var backend = new CpuBackend(1);
        using var tape = Tape(backend, (1, 2));
        _ = tape.Parameters[0].Value;
        var error = Assert.Throws<InvalidOperationException>(() => tape.Parameter("late", 1, 1, [0]));
        Assert.Equal("parameter 'late' is declared after others were used; declare all parameters first", error.Message);
    }

    /// <summary>The one op of all rows against an op a parameter.</summary>
    [Fact]
    public void The_squares_are_those_of_rows_one_by_one_and_0_where_nothing_has_a_gradient()
    {
        using var backend = new CpuBackend(2);
        using var tape = Tape(backend, (3, 5), (1, 7), (40, 33), (2, 1));
        var squares = new GradientSquares(backend, tape.Parameters);
        Assert.All(backend.ToArray(squares.Compute()), square => Assert.Equal(0, square));
        foreach (var without in (string?[])[null, "p0", "p2", "p3"])
        {
            foreach (var parameter in tape.Parameters) backend.Write(parameter.GradientTarget(out _), Numbers(parameter.Value.Count));
            tape.Reset();
            List<float> expected = [];
            foreach (var parameter in tape.Parameters)
            {
                var rows = backend.Rent(parameter.Rows, 1);
                if (parameter.Name == without) backend.Fill(rows, 0);
                else
                {
                    parameter.GradientTarget(out _);
                    backend.RowDots(parameter.Gradient, parameter.Gradient, rows, false);
                }
                expected.AddRange(backend.ToArray(rows));
            }
            Assert.Equal(expected, backend.ToArray(squares.Compute()));
            tape.Reset();
        }
    }

    [Fact]
    public void AdamW_leaves_a_parameter_without_a_gradient_and_its_moments_alone()
    {
        using var backend = new CpuBackend(2);
        using var tape = Tape(backend, (3, 5), (1, 7), (4, 16));
        var optimizer = new AdamW(backend, tape.Parameters, 0.9, 0.999, 1e-8, 0.1);
        foreach (var parameter in tape.Parameters.Where(p => p.Name != "p1")) backend.Write(parameter.GradientTarget(out _), Numbers(parameter.Value.Count));
        var factor = backend.Rent(1, 1);
        backend.Fill(factor, 1);
        optimizer.Step(0.1, factor);
        Assert.Equal([false, true, false], tape.Parameters.Select(p => backend.ToArray(p.Value).SequenceEqual(Numbers(p.Value.Count))));
        var state = optimizer.State.ToDictionary(s => s.Name, s => backend.ToArray(s.Value));
        Assert.Equal(6, state.Count);
        Assert.All(state, s => Assert.Equal(s.Key.EndsWith("p1", StringComparison.Ordinal), s.Value.All(x => x == 0)));
    }

    static Tape Tape(IBackend backend, params ReadOnlySpan<(int Rows, int Columns)> shapes)
    {
        var tape = new Tape(backend);
        foreach (var (rows, columns) in shapes) tape.Parameter($"p{tape.Parameters.Count}", rows, columns, Numbers(rows * columns));
        return tape;
    }

    static float[] Numbers(long count) => [.. Enumerable.Range(1, (int)count).Select(i => (float)Math.Sin(i))];
}
