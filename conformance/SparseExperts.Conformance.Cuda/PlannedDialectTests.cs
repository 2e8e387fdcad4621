using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Every dialect that a backend may plan: a few steps have the processor's bits, with capacities that drop.</summary>
public sealed class PlannedDialectTests
{
    const int Experts = 8;

    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 3000).Select(i => (byte)(i * i / 7 % 97))], 16);

    public static TheoryData<string> Planned => [.. BuiltIn.All.Where(d => BackendPlanning.HostReason(d, Experts, training: true) is null).Select(d => d.Name)];

    [Theory, MemberData(nameof(Planned))]
    public void Two_steps_have_the_processor_s_bits(string name)
    {
        var d = BuiltIn.Named(name);
        Same(d.CapacityFormula == CapacityFormula.None || d.DropPolicy != DropPolicy.Position ? d : d with { Capacity = 3, MinCapacity = 0 });
    }

    /// <summary>Later choices that are tested, and gates that are divided after drops, by 1 where nothing is left.</summary>
    [Theory]
    [InlineData("lingvo.top2", Policy.Threshold, Normalize.AfterDrop)]
    [InlineData("lingvo.top2", Policy.Random, Normalize.AfterDrop)]
    [InlineData("lingvo.top2", Policy.Random, Normalize.BeforeDrop)]
    [InlineData("mesh.top_n", Policy.None, Normalize.BeforeDrop)]
    public void Two_steps_of_a_policy_have_the_processor_s_bits(string name, Policy policy, Normalize normalize)
    {
        var d = BuiltIn.Named(name) with { Policy = policy, Normalize = normalize, Threshold = 0.25, Capacity = 3, MinCapacity = 0 };
        Assert.Null(BackendPlanning.HostReason(d, Experts, training: true));
        Same(d);
    }

    static void Same(Dialect d)
    {
        using var cpu = new CpuBackend(1);
        using var gpu = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        var model = new ModelConfig { Context = 16, Width = 8, HeadWidth = 8, Layers = 2, Hidden = 12, Experts = Experts, Dialect = d };
        var (expected, actual) = (Train(cpu, model), Train(gpu, model));
        Assert.Equal(expected.Steps, actual.Steps);
        Assert.Equal(expected.Weights, actual.Weights);
    }

    /// <summary>What each step reports and the weights after them; or what a model that this dialect asks too much of is refused with.</summary>
    static (string[] Steps, float[][] Weights) Train(IBackend backend, ModelConfig model)
    {
        try
        {
            var trainer = new Trainer(backend, model, new() { Batch = 2, Steps = 2, WarmUp = 1, Rate = 1e-2 });
            StepResult[] steps = [trainer.Train(Text, 0), trainer.Train(Text, 0.5)];
            return ([.. steps.Select(r => $"{r.BitsPerByte:R} {r.GradientNorm:R} {string.Join(" ", r.DropRates)}")],
                [.. trainer.Model.Parameters.Select(p => backend.ToArray(p.Value))]);
        }
        catch (Exception e) when (e is RoutingException or ConfigurationException)
        {
            return ([e.Message], []);
        }
    }
}
