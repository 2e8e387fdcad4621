using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Models;

public sealed class LanguageModelTests
{
    static readonly ModelConfig Small = new()
    {
        Vocabulary = 11,
        Context = 6,
        Width = 8,
        HeadWidth = 4,
        Layers = 2,
        Hidden = 12,
        Experts = 3,
        Dialect = ModelConfig.DefaultDialect with { CapacityFactor = 1.5, EvalCapacityFactor = 3, MinCapacity = 1, ZCoefficient = 0.001 },
    };

    static Dialect Roomy => ModelConfig.DefaultDialect with { EvalCapacityFactor = 1000 };

    public static TheoryData<string> Variants() =>
        ["rotary", "t5", "rms", "dense", "every-other", "dropout", "jitter", "switch-init", .. BuiltIn.All.Select(d => d.Name)];

    static ModelConfig Variant(string name) => name switch
    {
        "t5" => Small with { Positions = Positions.T5Relative },
        "rms" => Small with { Normalisation = Normalisation.RmsNorm, Activation = Activation.Silu },
        "dense" => Small with { Experts = 0 },
        "every-other" => Small with { SparseEvery = 2 },
        "dropout" => Small with { Dropout = 0.2, ExpertDropout = 0.3 },
        "jitter" => Small with { Dialect = Small.Dialect with { RouterPolicy = RouterPolicy.InputJitter, Jitter = 0.1, GroupSize = 6 } },
        "switch-init" => Small with { Initialisation = Initialisation.Switch },
        "rotary" => Small,
        var dialect => Small with { Experts = 4, Layers = 1, Dialect = Differentiable(BuiltIn.Named(dialect)) },
    };

    /// <summary>
    /// A straight-through dispatch has a gradient that no difference quotient sees, and is tested by itself. A hinge at 0 of a loss, and weights
    /// that start at exactly 0, are moved off their kinks.
    /// </summary>
    static Dialect Differentiable(Dialect dialect) => dialect with
    {
        StraightThrough = false,
        BalanceCoefficient = Math.Max(dialect.BalanceCoefficient, dialect.AdaptiveSparsity ? 0.01 : 0),
        // Flaxformer's groups of these few tokens are smaller than its least capacity, which experts that choose could not fill.
        MinCapacity = dialect.Selection == Selection.ExpertChoice ? 0 : dialect.MinCapacity,
    };

    [Theory]
    [MemberData(nameof(Variants))]
    public void Gradients_of_the_whole_model_match_central_differences(string variant)
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, Variant(variant), 5);
        int[] ids = [1, 4, 2, 2, 9, 0, 7, 3, 3, 10, 5, 1], labels = [4, 2, 2, 9, 0, -100, 3, 3, 10, 5, 1, 6];
        CentralDifferences.Demand(backend, tape, model.Parameters, Loss, numbers: 7);

        (Tensor, int[]) Loss()
        {
            var result = model.Forward(ids, 2, true, new(5), 1);
            var entropy = tape.SumColumns(tape.CrossEntropy(result.Logits, tape.Upload(labels), 0.1), 0.1);
            var loss = result.AuxiliaryLoss is null ? entropy : tape.Add(entropy, result.AuxiliaryLoss);
            return (loss, [.. result.Sparse.SelectMany(s => s.Plan.Expert.Concat(s.Plan.Slot))]);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void A_tokens_logits_do_not_change_with_the_batch_around_it(int experts)
    {
        using var backend = new CpuBackend(2);
        using var tape = new Tape(backend) { Recording = false };
        var model = new LanguageModel(tape, new ModelConfig { Context = 32, Layers = 2, Experts = experts, Dialect = Roomy }, 1);
        int[] sequence = [.. Enumerable.Range(0, 32).Select(i => i * 37 % 256)], other = [.. Enumerable.Range(0, 96).Select(i => i * 91 % 256)];
        var alone = backend.ToArray(model.Forward(sequence, 1, false, default).Logits.Value);
        var among = backend.ToArray(model.Forward([.. other, .. sequence], 4, false, default).Logits.Value.RowRange(96, 32));
        var shorter = backend.ToArray(model.Forward(sequence[..17], 1, false, default).Logits.Value);
        Assert.Equal(alone.Select(BitConverter.SingleToInt32Bits), among.Select(BitConverter.SingleToInt32Bits));
        Assert.Equal(alone[..shorter.Length].Select(BitConverter.SingleToInt32Bits), shorter.Select(BitConverter.SingleToInt32Bits));
    }

    [Fact]
    public void A_later_byte_never_changes_an_earlier_prediction()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend) { Recording = false };
        var model = new LanguageModel(tape, new ModelConfig { Context = 40, Layers = 2, Experts = 4, Dialect = Roomy, Positions = Positions.T5Relative }, 1);
        int[] one = [.. Enumerable.Range(0, 40)], two = [.. one[..39], 200];
        var first = backend.ToArray(model.Forward(one, 1, false, default).Logits.Value.RowRange(0, 39));
        var second = backend.ToArray(model.Forward(two, 1, false, default).Logits.Value.RowRange(0, 39));
        Assert.Equal(first, second);
    }

    [Fact]
    public void The_dense_twin_meets_as_many_numbers_a_token_as_the_sparse_model_less_the_router()
    {
        using var backend = new CpuBackend(1);
        var config = new ModelConfig { Experts = 8 };
        using Tape one = new(backend), other = new(backend);
        LanguageModel sparse = new(one, config, 0), dense = new(other, config with { Experts = 0 }, 0);
        Assert.Equal(dense.ActiveParameterCount, sparse.ActiveParameterCount - config.Layers * config.Width * config.Experts);
        Assert.Equal(dense.ParameterCount, dense.ActiveParameterCount);
    }

    [Fact]
    public void A_steady_step_allocates_nothing_that_grows_with_the_model()
    {
        long Allocated(int hidden)
        {
            using var backend = new CpuBackend(1);
            var config = new ModelConfig { Context = 16, Layers = 1, Experts = 4, Hidden = hidden };
            var trainer = new SparseExperts.Training.Trainer(backend, config, new() { Batch = 2, Steps = 100 });
            var text = SparseExperts.Data.ByteText.FromBytes("text", [.. Enumerable.Range(0, 4000).Select(i => (byte)(i % 97))], 16);
            for (var i = 0; i < 5; i++) trainer.Train(text, 0, false);
            // A collection beside this test may empty the runtime's pools, which adds to a step and never takes away: the least of ten is the step itself.
            return Enumerable.Range(0, 10).Min(_ =>
            {
                var before = GC.GetAllocatedBytesForCurrentThread();
                trainer.Train(text, 0, false);
                return GC.GetAllocatedBytesForCurrentThread() - before;
            });
        }
        long small = Allocated(64), large = Allocated(1024);
        // The plan's four arrays have one entry a kept token, and how many of the 32 are kept depends on the weights.
        Assert.True(large <= small + 4 * 32 * sizeof(int), $"{small} bytes a step with hidden 64, {large} with 1024");
    }
}
