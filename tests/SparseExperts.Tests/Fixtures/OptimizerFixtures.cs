using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>
/// Optimizer fixtures are float32 at both ends. Each step may differ by a few roundings of the parameter and of its update; the allowance
/// adds up over steps: 4u·|p| + 64u·(largest change of the step), u = 2⁻²⁴ (an update is about twenty operations, several of them on
/// moments that carry the roundings of earlier steps).
/// </summary>
static class OptimizerFixtures
{
    const double U = 1.0 / (1 << 24);

    public static void AdamW(Fixture fixture) => Steps(fixture, 1, (backend, parameters) =>
        new AdamW(backend, parameters, fixture.Number("beta1"), fixture.Number("beta2"), fixture.Number("eps"), fixture.Number("weight_decay")));

    public static void Adafactor(Fixture fixture) => Steps(fixture, 0, (backend, parameters) => new Adafactor(backend, parameters, new()
    {
        Beta1 = fixture.NumberOrNull("beta1"),
        ClipThreshold = fixture.Number("clip_threshold"),
        DecayRate = fixture.Number("decay_rate"),
        Epsilon1 = fixture.Number("eps1"),
        Epsilon2 = fixture.Number("eps2"),
        RelativeStep = fixture.Flag("relative_step"),
        ScaleParameter = fixture.Flag("scale_parameter"),
        WarmUpInit = fixture.Flag("warmup_init"),
    }, fixture.Number("weight_decay")));

    static void Steps(Fixture fixture, double missingRate, Func<IBackend, ParameterStore, Optimizer> create)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var names = fixture.Names("in.").Select(n => n["in.".Length..]).ToArray();
        foreach (var name in names)
        {
            var shape = fixture.Shape($"in.{name}");
            var stack = shape.Length > 2 ? shape[..^2].Aggregate(1, (a, b) => a * b) : 1;
            var (rows, columns) = fixture.MatrixShape($"in.{name}");
            tape.Parameter(name, rows, columns, Floats(fixture, $"in.{name}"), stack);
        }
        var optimizer = create(backend, tape.Parameters);
        var squares = new GradientSquares(backend, tape.Parameters);
        Matrix loss = backend.Rent(1, 1), one = backend.Rent(1, 1), numbers = backend.Rent(1, 3);
        backend.Fill(loss, 0);
        backend.Fill(one, 1);
        var before = names.ToDictionary(n => n, n => fixture.Doubles($"in.{n}"));
        var allowance = names.ToDictionary(n => n, _ => 0.0);
        for (var step = 0; step < (int)fixture.Number("steps"); step++)
        {
            foreach (var parameter in tape.Parameters) backend.Write(parameter.GradientTarget(out _), Floats(fixture, $"grad.{step}.{parameter.Name}"));
            backend.StepFactor(squares.Compute(), loss, fixture.NumberOrNull("clip_norm") ?? 0, one, numbers);
            if (fixture.Has($"out.norm.{step}")) Assert.Equal(1, backend.ToArray(numbers)[1] / fixture.Doubles($"out.norm.{step}")[0], 16 * U);
            optimizer.Step(fixture.NumberOrNull("lr") ?? missingRate, numbers.ColumnRange(0, 1));
            foreach (var parameter in tape.Parameters)
            {
                var expected = fixture.Doubles($"out.{step}.{parameter.Name}");
                var moved = expected.Zip(before[parameter.Name]).Max(p => Math.Abs(p.First - p.Second));
                var allowed = allowance[parameter.Name] += 4 * U * expected.Max(Math.Abs) + 64 * U * moved;
                var actual = backend.ToDoubles(parameter.Value);
                for (var i = 0; i < expected.Length; i++)
                {
                    var place = $"step {step}, {parameter.Name}[{i}]";
                    Assert.True(
                        Math.Abs(expected[i] - actual[i]) <= allowed,
                        $"{place}: {actual[i]:R}, recorded {expected[i]:R}, allowance {allowed:R}");
                }
                before[parameter.Name] = expected;
            }
        }
    }

    static float[] Floats(Fixture fixture, string name) => [.. fixture.Doubles(name).Select(x => (float)x)];

    public static void Schedule(Fixture fixture)
    {
        var (peak, total) = (fixture.Number("peak"), (long)fixture.Number("total"));
        var (warmUp, timescale) = ((long)fixture.Number("warmup"), (long)fixture.Number("timescale"));
        foreach (var name in fixture.Names("out."))
        {
            var expected = fixture.Doubles(name);
            for (var step = 0; step < expected.Length; step++)
            {
                var factor = name switch
                {
                    "out.cosine" => Schedules.Cosine(step, warmUp, total),
                    "out.inverse_sqrt" => Schedules.InverseSquareRoot(step, warmUp, timescale),
                    "out.linear" => Schedules.Linear(step, warmUp, total),
                    _ => throw new NotSupportedException($"schedule '{name}'"),
                };
                Assert.Equal(expected[step], peak * factor, 1e-15 * peak);
            }
        }
    }
}
