using System.Text;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using SparseExperts.Data;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Whole models on the emulated device.</summary>
public sealed class ModelTests
{
    const int Steps = 10;

    static readonly ModelConfig Tiny = new()
    {
        Width = 16,
        HeadWidth = 8,
        Layers = 2,
        Hidden = 24,
        Experts = 4,
        Context = 16,
        Dropout = 0.1,
        ExpertDropout = 0.1,
    };

    static readonly Dictionary<string, ModelConfig> Models = new()
    {
        ["dense"] = Tiny with { Experts = 0 },
        ["default"] = Tiny,
        ["mesh.switch"] = Tiny with { Dialect = BuiltIn.Named("mesh.switch") },
        ["hf.mixtral"] = Tiny with { Dialect = BuiltIn.Named("hf.mixtral") },
        ["hf.deepseek_v3"] = Tiny with { Experts = 8, Dialect = BuiltIn.Named("hf.deepseek_v3") },
        ["zhou.expert_choice"] = Tiny with { Dialect = BuiltIn.Named("zhou.expert_choice") },
        ["T5 positions"] = Tiny with
        {
            Positions = Positions.T5Relative,
            Normalisation = Normalisation.RmsNorm,
            Activation = Activation.Relu,
            Initialisation = Initialisation.Switch,
        },
    };

    static readonly string Words = string.Concat(Enumerable.Range(0, 500).Select(i => $"{i * i % 97} of {i % 13}, "));

    static readonly ByteText Text = ByteText.FromBytes("words", Encoding.ASCII.GetBytes(Words), Tiny.Context);

    public static TheoryData<string> Names => [.. Models.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Ten_steps_have_the_bits_of_the_processor(string name)
    {
        using var cpu = new CpuBackend();
        using var gpu = new CudaBackend(new EmulatedDriver(CudaFixture.Large));
        var training = new TrainingConfig { Batch = 2, Steps = Steps, WarmUp = 2, Rate = 1e-2 };
        Trainer expected = new(cpu, Models[name], training), actual = new(gpu, Models[name], training);
        for (var step = 0; step < Steps; step++)
            Assert.Equal(expected.Train(Text, step / (double)Steps).BitsPerByte, actual.Train(Text, step / (double)Steps).BitsPerByte);
        foreach (var (one, other) in expected.Model.Parameters.Zip(actual.Model.Parameters)) Assert.Equal(cpu.ToArray(one.Value), gpu.ToArray(other.Value));
    }

    /// <summary>The router's logits, scores, plan and its weight's gradient under cuBLAS; a token's output differs.</summary>
    [Theory]
    [InlineData(Precision.F32)]
    [InlineData(Precision.Tf32)]
    [InlineData(Precision.Bf16)]
    public void A_router_stays_exact_in_every_precision(Precision precision)
    {
        using var cpu = new CpuBackend();
        using var gpu = new CudaBackend(new EmulatedDriver(CudaFixture.Large with { Multiprocessors = 1 }), precision: precision);
        var (expected, actual) = (Routed(cpu), Routed(gpu));
        Assert.Equal(expected.Logits, actual.Logits);
        Assert.Equal(expected.Scores, actual.Scores);
        Assert.Equal(expected.Plan, actual.Plan);
        Assert.Equal(expected.Slope, actual.Slope);
        if (precision != Precision.F32) Assert.NotEqual(expected.Output, actual.Output);
    }

    static (float[] Logits, float[] Scores, string Plan, float[] Slope, float[] Output) Routed(IBackend backend)
    {
        const int tokens = 24, width = 16, hidden = 24, experts = 4;
        using var tape = new Tape(backend);
        Matrix Drawn(int rows, int columns, ulong stream)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Write(matrix, [.. Enumerable.Range(0, rows * columns).Select(i => (float)Philox.Normal(new RandomStream(7, stream), (ulong)i))]);
            return matrix;
        }
        var router = tape.Input(Drawn(width, experts, 1));
        var call = new RouterCall { Dialect = BuiltIn.Named("mesh.switch"), Experts = experts, Groups = 1, Size = tokens, Training = false };
        var result = SparseLayer.Forward(tape, call, tape.Input(Drawn(tokens, width, 2)), new() { Weight = router },
            new() { Wi = tape.Input(Drawn(experts * width, hidden, 3)), Wo = tape.Input(Drawn(experts * hidden, width, 4)) });
        tape.Backward((result.Logits, Drawn(tokens, experts, 5)));
        float[] Read(Matrix matrix) => backend.ToArray(matrix);
        return (Read(result.Logits.Value), Read(result.Probabilities.Value), result.Plan.Describe(), Read(router.Gradient), Read(result.Output.Value));
    }
}
