using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Sharding;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>A training step in shards, each on a thread and a backend of its own, has the bits of the whole: loss, plans and every gradient.</summary>
public sealed class ShardedModelTests
{
    const int Sequences = 8, Length = 140;               // more than a block, so that sequences have two

    static readonly ModelConfig Base = new()
    {
        Vocabulary = 23,
        Context = Length,
        Width = 16,
        HeadWidth = 8,
        Layers = 2,
        Hidden = 24,
        Experts = 4,
        Dropout = 0.1,
        ExpertDropout = 0.2,
    };

    static ModelConfig Model(string name) => name switch
    {
        "dense" => Base with { Experts = 0 },
        "dense, T5 positions, RMSNorm" => Base with { Experts = 0, Positions = Positions.T5Relative, Normalisation = Normalisation.RmsNorm },
        "the default dialect, the whole batch one group" => Base with
        { Dialect = ModelConfig.DefaultDialect with { CapacityFactor = 0.6, ZCoefficient = 0.01 } },
        "losses by batch, by sequence and global" => Base with
        {
            Dialect = Grouped(BuiltIn.Named("megatron.topk")) with
            {
                GroupSize = 0,
                CapacityFactor = -1,
                SequenceBalanceCoefficient = 0.2,
                GlobalBalanceCoefficient = 0.3,
                Score = Score.Sigmoid,
                BiasRate = 0.01,
            }
        },
        "a loss by sequence of pooled layers" => Base with { Dialect = Grouped(BuiltIn.Named("hf.mixtral")) with { BalanceLevel = BalanceLevel.Sequence } },
        "a loss over the batch where each sequence is a group" => Base with
        { Dialect = Grouped(BuiltIn.Named("mesh.switch")) with { BalanceLevel = BalanceLevel.Batch } },
        "forced balance, sequences added up" => Base with { Dialect = Grouped(BuiltIn.Named("torchtitan.topk")) with { ForceBalance = true } },
        "hf.nemotron_h with latent experts" => Base with { Dialect = Grouped(BuiltIn.Named("hf.nemotron_h")) with { LatentExperts = true } },
        "hf.doge with keys of the token" => Base with { Dialect = Grouped(BuiltIn.Named("hf.doge")) with { KeySplit = KeySplit.Token } },
        _ => Base with { Dialect = Grouped(BuiltIn.Named(name)) },
    };

    /// <summary>One group a sequence; tight where there is a capacity, so that places matter.</summary>
    static Dialect Grouped(Dialect d) =>
        d with { GroupSize = -1, CapacityFactor = 0.7, BalanceCoefficient = 0.1, ZCoefficient = d.ZLoss == ZLoss.None ? 0 : 0.01 };

    [Theory]
    [InlineData("dense")]
    [InlineData("dense, T5 positions, RMSNorm")]
    [InlineData("mesh.switch")]
    [InlineData("lingvo.top2")]
    [InlineData("hf.mixtral")]
    [InlineData("torchtitan.topk")]
    [InlineData("megatron.quantile")]
    [InlineData("remoe.relu")]
    [InlineData("hf.zaya")]
    [InlineData("hf.inkling")]
    [InlineData("hf.gemma4")]
    [InlineData("hf.jetmoe")]
    [InlineData("hf.laguna")]
    [InlineData("hf.nemotron_h with latent experts")]
    [InlineData("hf.longcat_flash")]
    [InlineData("hf.doge with keys of the token")]
    [InlineData("losses by batch, by sequence and global")]
    [InlineData("a loss by sequence of pooled layers")]
    [InlineData("a loss over the batch where each sequence is a group")]
    [InlineData("forced balance, sequences added up")]
    [InlineData("the default dialect, the whole batch one group")]
    public void Shards_of_a_batch_have_the_bits_of_the_whole(string name)
    {
        var config = Model(name);
        var random = new Random(7);
        int[] ids = [.. Enumerable.Range(0, Sequences * Length).Select(_ => random.Next(config.Vocabulary))];
        var whole = Step(config, ids, null, null);
        Assert.Equal(config.Experts > 0, whole.Plans.Count > 0);
        foreach (var level in (int[])[1, 2, 3])
        {
            var plans = config.Dialect.GroupSize == 0 ? whole.Plans : null;
            var shards = ThreadShards.Run(Sequences, level, shard => Step(config, ids, shard, plans, recomputes: level == 2));
            Assert.Equal(1 << level, shards.Length);
            foreach (var shard in shards)
            {
                Assert.Equal(whole.Loss, shard.Loss);
                Assert.Equal(whole.State, shard.State);
                foreach (var (parameter, gradient) in whole.Gradients)
                    Assert.True(gradient.AsSpan().SequenceEqual(shard.Gradients[parameter]), $"{parameter} differs in {shards.Length} shards");
            }
            for (var layer = 0; layer < whole.Plans.Count; layer++)
                Assert.Equal(whole.Plans[layer].Slot, shards.SelectMany(s => s.Plans[layer].Slot));
        }
    }

    /// <summary>What a scalar backend could widen for bounds it leaves alone where its numbers carry none.</summary>
    [Theory]
    [InlineData(NumberFormat.BFloat16)]
    [InlineData(NumberFormat.Float16)]
    public void A_router_in_a_narrow_format_has_the_gradients_of_the_definition(NumberFormat format)
    {
        var config = Base with { Dialect = Grouped(BuiltIn.Named("hf.mixtral")) with { RouterDtype = format, ScoreDtype = format } };
        int[] ids = [.. Enumerable.Range(0, 2 * Length).Select(i => i * 7 % config.Vocabulary)];
        Dictionary<string, float[]> Gradients(IBackend backend)
        {
            using var own = backend;
            using var tape = new Tape(own);
            var model = new LanguageModel(tape, config, 3);
            var result = model.Forward(ids, 2, true, new Streams(11), 1);
            tape.Backward(tape.Add(tape.SumColumns(tape.CrossEntropy(result.Logits, tape.Upload(ids)), 1), result.AuxiliaryLoss!));
            return model.Parameters.ToDictionary(p => p.Name, p => own.ToArray(p.Gradient));
        }
        Dictionary<string, float[]> fast = Gradients(new CpuBackend(1)), defined = Gradients(new ScalarBackend<Float32>());
        foreach (var (name, gradient) in defined) Assert.True(gradient.AsSpan().SequenceEqual(fast[name]), $"{name} differs");
    }

    [Fact]
    public void Sequences_that_do_not_divide_evenly_are_halved_with_the_first_half_larger()
    {
        Assert.Equal([(0, 3), (3, 2)], SumTree.Shards(5, 1));
        Assert.Equal([(0, 2), (2, 1), (3, 1), (4, 1)], SumTree.Shards(5, 2));
        Assert.Equal([(0, 1), (1, 1), (2, 1), (3, 1), (4, 1)], SumTree.Shards(5, 3));
    }

    [Fact]
    public void The_failure_of_one_shard_is_the_failure_of_all()
    {
        var error = Assert.Throws<RoutingException>(() => ThreadShards.Run(4, 2, shard =>
        {
            if (shard.Sequences.First == 2) throw new RoutingException("no");
            return shard.Total(1);
        }));
        Assert.Equal("no", error.Message);
    }

    sealed record Result(float Loss, Dictionary<string, float[]> Gradients, float[] State, IReadOnlyList<RoutingPlan> Plans);

    static Result Step(ModelConfig config, int[] all, IShards? shards, IReadOnlyList<RoutingPlan>? plans, bool recomputes = false)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend, shards) { Recomputes = recomputes };
        var model = new LanguageModel(tape, config, 3);
        var (first, count, _) = shards?.Sequences ?? (0, Sequences, Sequences);
        int[] ids = all[(first * Length)..((first + count) * Length)], labels = [.. ids.Select(i => (i * 5 + 1) % config.Vocabulary)];
        var own = plans?.Select(p => Part(p, first * Length, count * Length)).ToArray();
        var result = model.Forward(ids, count, true, new Streams(11), 1, plans: own);
        var losses = tape.CrossEntropy(result.Logits, tape.Upload(labels));
        var loss = tape.SumColumns(losses, 1.0 / (Sequences * Length));
        if (result.AuxiliaryLoss is { } auxiliary) loss = tape.Add(loss, auxiliary);
        tape.Backward(loss);
        var numbers = backend.Rent(1, 4);
        backend.Write(numbers, [1, 0, 0, 0]);
        model.AfterStep(result.Sparse, new(tape, numbers));
        return new(backend.ToArray(loss.Value)[0], model.Parameters.ToDictionary(p => p.Name, p => backend.ToArray(p.Gradient)),
            [.. model.State.SelectMany(s => backend.ToArray(s.Value))], [.. result.Sparse.Select(s => s.Plan)]);
    }

    static RoutingPlan Part(RoutingPlan whole, int first, int count)
    {
        var range = (first * whole.Choices)..((first + count) * whole.Choices);
        return new(whole.Experts, 1, whole.Choices, whole.Capacity, whole.Expert[range], whole.Slot[range]);
    }
}
