using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Dialects that come from no library, as a file may say them: what a backend plans of them is the host's plan, integer by integer.</summary>
public sealed class DrawnDialectTests
{
    const int Drawn = 600, Width = 3;

    /// <summary>A dialect with values of the planner's axes, drawn one after the other; one that the rules refuse or the host plans is left out.</summary>
    static Dialect DialectOf(Random random, int experts, bool training)
    {
        var d = new Dialect { Name = "drawn", Summary = "drawn", Source = "drawn", Evidence = Evidence.Own, Parameters = [], K = random.Next(1, 4) };
        DialectAxis[] axes = [.. PlannedAxes.Deciding, .. PlannedAxes.Deciding];       // twice, for what another value must make room for
        random.Shuffle(axes);
        foreach (var axis in axes)
        {
            if (random.Next(2) == 0) continue;
            var values = AxisLaw.Values(axis);
            try
            {
                var changed = axis.With(d, values[random.Next(values.Count)], "drawn");
                DialectRules.Check(changed, experts);
                if (BackendPlanning.HostReason(changed, experts, training) is null) d = changed;
            }
            catch (DialectException)
            {
                // Another axis.
            }
        }
        return d;
    }

    /// <summary>What a router made of its tokens: integers, capacity, and the bits of its gates and losses; or the line it was refused with.</summary>
    static (string[] Made, bool OnBackend) Route(IBackend backend, RouterCall call, float[] x, float[] weight, float[] bias)
    {
        using var tape = new Tape(backend);
        Matrix Given(int columns, float[] values)
        {
            var matrix = backend.Rent(values.Length / columns, columns);
            backend.Write(matrix, values);
            return matrix;
        }
        var router = new RouterWeights
        {
            Weight = tape.Constant(Given(call.Experts, weight)),
            BiasOnBackend = call.Dialect.CorrectionBias ? Given(call.Experts, bias) : null,
            GlobalScale = call.Dialect.GlobalScale ? tape.Constant(Given(1, [1.5f])) : null,
        };
        try
        {
            var routed = RoutedLayer.Route(tape, call, tape.Constant(Given(Width, x)), router);
            var plan = routed.Plan;
            string Bits(Tensor t) => string.Join(" ", backend.ToArray(t.Value).Select(v => v == 0 ? "0" : v.ToString("R", null)));
            string[] losses = [.. AuxiliaryLosses.Of(tape, call, routed.Losses).Select(l => $"{l.Name} {Bits(l.Value)}")];
            string[] tokens = [.. Enumerable.Range(0, call.Tokens).Select(t => TokenOf(plan, t))];
            // Where experts choose, the backend's plan has a choice for every expert, most of them none.
            var gates = call.Dialect.Selection == Selection.ExpertChoice ? "" : Bits(routed.Gates);
            return ([$"capacity {plan.Capacity}", .. tokens, gates, .. losses], routed.Handle.OnBackend is not null);
        }
        catch (RoutingException e)
        {
            return ([e.Message], false);
        }
    }

    static string TokenOf(RoutingPlan plan, int token) => string.Join(" ", from j in Enumerable.Range(token * plan.Choices, plan.Choices)
                                                                           where plan.Expert[j] >= 0
                                                                           select $"{plan.Expert[j]}:{plan.Slot[j]}");

    static (RouterCall Call, float[] X, float[] Weight, float[] Bias) CaseOf(int seed)
    {
        var random = new Random(seed);
        var (groups, size, experts, training) = (random.Next(1, 3), random.Next(4, 9), random.Next(2) == 0 ? 4 : 8, random.Next(2) == 0);
        var call = new RouterCall
        {
            Dialect = DialectOf(random, experts, training),
            Groups = groups,
            Size = size,
            Experts = experts,
            Training = training,
        };
        call = call with { Draws = RouterDraws.From(call, new(new((ulong)seed), 1, 0), Width) };
        // Coarse numbers, so that ties are there.
        float[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(-3, 4) / 2f)];
        return (call, Numbers(groups * size * Width), Numbers(Width * experts), Numbers(experts));
    }

    [Fact]
    public void What_a_backend_plans_of_a_drawn_dialect_is_the_host_s_plan()
    {
        using var cpu = new CpuBackend(1);
        using var gpu = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        var (planned, wrong) = (0, new List<string>());
        for (var seed = 0; seed < Drawn; seed++)
        {
            var (call, x, weight, bias) = CaseOf(seed);
            var (expected, actual) = (Route(cpu, call, x, weight, bias), Route(gpu, call, x, weight, bias));
            Assert.False(expected.OnBackend);
            if (!expected.Made.SequenceEqual(actual.Made)) wrong.Add($"{seed}: {Text(call.Dialect)}\n{Joined(expected)}\nbut\n{Joined(actual)}");
            if (actual.OnBackend) planned++;
        }
        Assert.True(wrong.Count == 0, string.Join("\n\n", wrong));
        Assert.True(planned > Drawn / 2, $"{planned} of {Drawn}");

        static string Joined((string[] Made, bool OnBackend) routed) => string.Join(" | ", routed.Made);
        static string Text(Dialect d) => string.Join(", ", from axis in DialectAxis.All where !axis.IsDefault(d) select $"{axis.Name} {axis.Format(d)}");
    }

    /// <summary>A run that says who plans knows how many experts it has.</summary>
    [Fact]
    public void Many_experts_that_choose_are_planned_by_the_host_which_says_so()
    {
        var chooses = BuiltIn.Named("zhou.expert_choice");
        Assert.Null(BackendPlanning.HostReason(chooses, 32, training: true));
        Assert.Equal("more than 32 experts that choose", BackendPlanning.HostReason(chooses, 33, training: true));
    }

    /// <summary>Whoever adds an axis says what a plan has to do with it; until then the host plans where it is set.</summary>
    [Fact]
    public void An_axis_that_nobody_has_said_anything_about_is_planned_by_the_host()
    {
        foreach (var d in BuiltIn.All)
            foreach (var axis in DialectAxis.All.Where(a => !a.IsDefault(d)))
                Assert.Equal($"{axis.Name} {axis.Format(d)}", PlannedAxes.Unknown(d, [axis]));
        Assert.All(BuiltIn.All, d => Assert.Null(PlannedAxes.Unknown(d)));
    }
}
