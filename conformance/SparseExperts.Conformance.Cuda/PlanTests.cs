using SparseExperts.Autograd;
using SparseExperts.Conformance.Mutants;
using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Plans that the device makes.</summary>
public sealed class PlanTests
{
    const int Cases = 160;

    static CudaBackend Small() => new(new EmulatedDriver(new() { Order = ThreadOrder.Descending, Multiprocessors = 1, MaxBlocksY = 2 }));

    static string? FirstDifference(IBackend backend)
    {
        for (var seed = 0; seed < Cases; seed++)
        {
            var asked = PlanCase.Drawn(seed);
            if (PlanLaws.Differs(backend, asked) is { } found) return $"{seed}: {found} in {asked}";
        }
        return null;
    }

    [Fact]
    public void The_device_plans_as_the_host_does()
    {
        using var small = Small();
        using var large = new CudaBackend(new EmulatedDriver(CudaFixture.Large with { Order = ThreadOrder.Drawn, Seed = 3 }));
        Assert.Null(FirstDifference(small));
        Assert.Null(FirstDifference(large));
    }

    /// <summary>Another rule than the one that was asked for, where that is all that goes wrong.</summary>
    sealed class Misreading(IBackend inner, Func<PlanRule, PlanRule> rule, bool ignoresBias = false) : DelegatingBackend(inner), IRouting
    {
        public override IRouting? Routing => this;
        public bool Plans(in PlanRule asked) => Inner.Routing!.Plans(asked);
        public void Plan(in PlanRule asked, in PlanInputs given, in PlanArrays to) =>
            Inner.Routing!.Plan(rule(asked), ignoresBias ? given with { Bias = null } : given, to);
        public void MoveBias(Indices offsets, double rate, Matrix factor, Matrix bias) => Inner.Routing!.MoveBias(offsets, rate, factor, bias);
    }

    public static TheoryData<string> Misreadings => ["order", "bias", "group mask", "group score", "groups kept", "slots", "taken", "test", "slots of experts"];

    [Theory, MemberData(nameof(Misreadings))]
    public void A_planner_that_misreads_its_rule_is_caught(string what)
    {
        using var healthy = Small();
        Func<PlanRule, PlanRule> wrong = what switch
        {
            "order" => rule => rule with { ChoiceMajor = !rule.ChoiceMajor },
            "bias" => rule => rule,
            "group mask" => rule => rule with { LeftOut = rule.LeftOut == 0 ? double.NegativeInfinity : 0 },
            "group score" => rule => rule with { BestOfGroup = rule.BestOfGroup + 1 },
            "groups kept" => rule => rule with { ExpertGroupsKept = Math.Min(rule.ExpertGroups, rule.ExpertGroupsKept + 1) },
            "slots" => rule => !rule.ByExperts && rule.Capacity != RoutingPlan.Unlimited && rule.Rows == rule.Tokens * rule.Choices
                ? rule with { Capacity = rule.Capacity + 1 }
                : rule,
            "taken" => rule => rule with { ZeroesTaken = !rule.ByExperts && rule.Later.Kind == LaterKind.All && rule.ZeroesTaken },
            "test" => rule => rule with { Later = rule.Later with { Factor = 1.5 * rule.Later.Factor } },
            "slots of experts" => rule => rule with { SlotsByToken = !rule.SlotsByToken },
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
        Assert.NotNull(FirstDifference(new Misreading(healthy, wrong, what == "bias")));
    }

    /// <summary>One instruction of a planning kernel changed: the laws see it, or the emulator does.</summary>
    [Fact]
    public void A_change_of_one_instruction_of_a_planning_kernel_is_seen()
    {
        string[] kernels = ["plan_choices", "plan_slots", "plan_rows", "plan_requests", "plan_ranks", "plan_served", "plan_takers", "plan_firsts"];
        var mutants = MutantRun.Draw(kernels, perKernel: 10, seed: 2).ToArray();
        var survivors = mutants.Where(m => !IsSeen(m)).Select(m => m.ToString()).ToArray();
        Assert.Equal(80, mutants.Length);
        Assert.True(survivors.Length <= 8, string.Join(Environment.NewLine, survivors));
    }

    static bool IsSeen(Mutant mutant)
    {
        using var backend = MutantRun.Planted(mutant, 1);
        try
        {
            return Enumerable.Range(0, Cases).Select(PlanCase.Drawn).Where(c => c.Scores.Length < 5000).Any(c => PlanLaws.Differs(backend, c) is not null);
        }
        catch (Exception e) when (e is CudaFault or InvalidDataException)
        {
            return true;
        }
    }

    [Fact]
    public void A_bias_moves_as_on_the_host()
    {
        using var backend = Small();
        var random = new Random(1);
        const int experts = 70;
        float[] before = [.. Enumerable.Range(0, experts).Select(_ => (float)(random.NextDouble() - 0.5))];
        int[] offsets = [0, .. Enumerable.Range(0, experts - 1).Select(_ => random.Next(300)).Order(), 300];
        var bias = backend.Rent(1, experts);
        backend.Write(bias, before);
        var wrong = Assert.Throws<ShapeException>(() => backend.Routing!.MoveBias(backend.Upload(offsets), 1e-3, backend.Rent(2, 1), bias));
        Assert.Equal("MoveBias: factor is 2×1, expected 1×1; reshape or rent it so", wrong.Message);
        var factor = backend.Rent(1, 1);
        backend.Fill(factor, double.NaN);
        backend.Routing!.MoveBias(backend.Upload(offsets), 1e-3, factor, bias);
        Assert.Equal(before, backend.ToArray(bias));                // of a step that is left out
        backend.Fill(factor, 0.5);
        backend.Routing!.MoveBias(backend.Upload(offsets), 1e-3, factor, bias);
        double[] counts = [.. Enumerable.Range(0, experts).Select(e => (double)(offsets[e + 1] - offsets[e]))];
        var expected = CorrectionBias.Step(BuiltIn.Named("hf.deepseek_v3") with { BiasRate = 1e-3 }, counts, [.. before.Select(b => (double)b)]);
        Assert.Equal(expected.Select(b => (float)b), backend.ToArray(bias));
    }

    [Fact]
    public void A_router_s_NaN_is_named_when_the_plan_is_read()
    {
        using var backend = Small();
        using var tape = new Tape(backend);
        var call = new RouterCall { Dialect = BuiltIn.Named("mesh.switch"), Experts = 3, Groups = 1, Size = 4, Training = false, Where = "blocks.1" };
        var x = backend.Rent(4, 2);
        backend.Write(x, [1, 2, 3, 4, float.NaN, 6, 7, 8]);
        var weight = backend.Rent(2, 3);
        backend.Fill(weight, 1);
        var routed = RoutedLayer.Route(tape, call, tape.Constant(x), new() { Weight = tape.Constant(weight) });
        Assert.NotNull(routed.Handle.OnBackend);
        Assert.StartsWith("blocks.1: router score of token 2 for expert 0 is NaN", Assert.Throws<RoutingException>(() => routed.Plan).Message);
        tape.Reset();
        Assert.Throws<InvalidOperationException>(() => routed.Plan);
    }

    /// <summary>Where nobody reads the plan, and numbers that came of it are handed out.</summary>
    [Fact]
    public void A_router_s_NaN_ends_an_evaluation_and_a_generation_with_the_host_s_line()
    {
        using var device = Small();
        using var host = new CpuBackend(1);
        foreach (var run in (Action<Predictor>[])[Evaluate, Continue])
        {
            var expected = Assert.Throws<RoutingException>(() => run(Poisoned(host))).Message;
            Assert.Contains("router score of token 0 for expert 0 is NaN", expected);
            Assert.Equal(expected, Assert.Throws<RoutingException>(() => run(Poisoned(device))).Message);
        }

        static void Evaluate(Predictor predictor) => predictor.Evaluate(new TokenBatch([97, 98, 99, 100], 1), (_, _) => 0);
        static void Continue(Predictor predictor) => Generation.Continue(predictor, "abcd"u8, 1, 0, 0, 1, caches: false);
    }

    /// <summary>A model with one NaN among its router's weights.</summary>
    static Predictor Poisoned(IBackend backend)
    {
        var predictor = new Predictor(backend, new ModelConfig
        {
            Width = 8,
            HeadWidth = 8,
            Layers = 1,
            Hidden = 8,
            Experts = 3,
            Context = 4,
            Dialect = BuiltIn.Named("mesh.switch"),
        }, 1);
        var router = predictor.Model.Parameters.Single(p => p.Name.EndsWith(".router", StringComparison.Ordinal)).Value;
        var values = backend.ToArray(router);
        values[0] = float.NaN;
        backend.Write(router, values);
        return predictor;
    }
}
