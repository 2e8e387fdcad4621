using SparseExperts.Autograd;
using SparseExperts.Conformance;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

public sealed class T5ModelTests
{
    [Fact]
    public void Parameters_have_the_names_of_checkpoints()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var model = new T5Model(tape, T5Batches.Tiny with { TiedHead = false, Gated = true }, new StartValues(1));
        string[] names = [.. model.Parameters.Select(p => $"{p.Name} {p.Rows}x{p.Columns}")];
        Assert.Equal("shared 13x8", names[0]);
        Assert.Contains("encoder.block.0.layer.0.SelfAttention.relative_attention_bias 8x2", names);
        Assert.Contains("encoder.block.1.layer.0.SelfAttention.q 8x6", names);
        Assert.Contains("decoder.block.1.layer.1.EncDecAttention.o 6x8", names);
        Assert.Contains("encoder.block.0.layer.1.mlp.wi_1 8x10", names);
        Assert.Contains("encoder.block.1.layer.1.mlp.experts.wi 32x10", names);
        Assert.Contains("encoder.block.1.layer.1.mlp.experts.wi_gate 32x10", names);
        Assert.Contains("decoder.block.1.layer.2.mlp.router 8x4", names);
        Assert.Contains("decoder.final_layer_norm 1x8", names);
        Assert.Equal("lm_head 8x13", names[^1]);
        Assert.DoesNotContain(names, n => n.StartsWith("decoder.block.1.layer.0.SelfAttention.relative", StringComparison.Ordinal));
        Assert.Equal(model.ActiveParameterCount, model.ParameterCount - 2 * 3 * 3 * 8 * 10);        // three of four experts, in two blocks, of three matrices
    }

    /// <summary>A short text beside a longer one is padded; it says what it says alone, if padding takes no places.</summary>
    [Theory]
    [InlineData("dense")]
    [InlineData("mesh.switch")]
    [InlineData("hf.mixtral")]
    public void Padding_changes_nothing_where_it_takes_no_places(string name)
    {
        var config = T5Batches.Tiny with { Experts = name == "dense" ? 0 : 4 };
        if (name != "dense") config = config with { Dialect = BuiltIn.Named(name) with { EvalCapacityFactor = 100, GroupSize = -1 } };
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend) { Recording = false };
        var model = new T5Model(tape, config, new StartValues(3));
        int[] text = [4, 9, 2], more = [5, 6, 7, 8, 3];
        float[] alone = Logits(new(text, 1) { DecoderIds = [0, 3] });
        float[] beside = Logits(new([.. text, 0, 0, .. more], 2) { Mask = [1, 1, 1, 0, 0, 1, 1, 1, 1, 1], DecoderIds = [0, 3, 0, 2] });
        Assert.Equal(alone, beside[..alone.Length]);
        Assert.NotEqual(alone, Logits(new([.. text, 0, 0], 1) { DecoderIds = [0, 3] }));

        float[] Logits(TokenBatch batch)
        {
            var logits = backend.ToArray(model.Forward(batch, default).Logits.Value);
            tape.Reset();
            return logits;
        }
    }

    [Fact]
    public void Experts_of_two_levels_are_gated_where_the_model_is()
    {
        var dialect = BuiltIn.Named("mesh.two_level");
        var config = T5Batches.Tiny with { Gated = true, Dialect = dialect, Experts = DialectRules.Fitting(dialect, 4) };
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var model = new T5Model(tape, config, new StartValues(3));
        var (batch, pass) = (T5Batches.Of(config, 2, 5, padded: false), new Pass { Training = true, Streams = new(3), Step = 1 });
        var (loss, _) = new NextTokenLoss().Compute(tape, model, batch, model.Forward(batch, pass), pass);
        tape.Backward(loss);
        var gate = model.Parameters.First(p => p.Name.EndsWith("experts.wi_gate", StringComparison.Ordinal));
        Assert.Contains(backend.ToArray(gate.Gradient), g => g != 0);
    }

    [Theory]
    [InlineData("vmoe.soft")]
    [InlineData("mesh.two_level")]
    public void Dropout_that_a_layer_would_not_read_is_refused(string name)
    {
        var dialect = BuiltIn.Named(name);
        var experts = DialectRules.Fitting(dialect, 4);
        IModelConfig[] models =
        [
            T5Batches.Tiny with { Dialect = dialect, Experts = experts, ExpertDropout = 0.1 },
            new ModelConfig { Dialect = dialect, Experts = experts, ExpertDropout = 0.1 },
        ];
        Assert.All(models, model => Assert.Equal(
            $"expert dropout 0.1: the layer of {name} has none; choose 0", Assert.Throws<ConfigurationException>(model.Validate).Message));
    }

    [Fact]
    public void What_a_decoder_reads_follows_from_its_labels()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend) { Recording = false };
        var model = new T5Model(tape, T5Batches.Tiny with { Experts = 0, PaddingId = 12 }, new StartValues(3));
        TokenBatch batch = new([4, 9, 2, 7], 2) { Labels = [5, 6, 1, 7, TokenBatch.NoLabel, TokenBatch.NoLabel] };
        float[] implied = backend.ToArray(model.Forward(batch, default).Logits.Value);
        float[] given = backend.ToArray(model.Forward(batch with { DecoderIds = [0, 5, 6, 0, 7, 12] }, default).Logits.Value);
        Assert.Equal(given, implied);
    }

    [Theory]
    [InlineData("dense", false)]
    [InlineData("dense", true)]
    [InlineData("mesh.switch", true)]
    [InlineData("hf.switch.v4", true)]
    [InlineData("hf.mixtral", true)]
    public void A_step_in_micro_batches_is_the_step_on_the_whole_batch(string name, bool padded)
    {
        var config = Config(name) with { Dropout = 0.1, ExpertDropout = 0.2 };
        (float[][] Values, double Loss)? expected = null;
        foreach (var (accumulate, recompute) in ((int, bool)[])[(1, false), (2, false), (4, true)])
        {
            Assert.Null(BatchWide.Difference(config, 8, accumulate));
            using var backend = new CpuBackend(1);
            TrainingConfig training = new() { Batch = 8, Steps = 12, WarmUp = 2, Rate = 1e-2, Accumulate = accumulate, Recompute = recompute };
            var trainer = new Trainer(backend, config, training);
            var loss = 0.0;
            for (var step = 0; step < 3; step++) loss = trainer.Train(new T5Batches.Source(config, 8, padded), step / 12.0).BitsPerByte;
            float[][] values = [.. trainer.Model.Parameters.Select(p => backend.ToArray(p.Value))];
            expected ??= (values, loss);
            Assert.Equal(expected.Value.Loss, loss);
            for (var p = 0; p < values.Length; p++)
                Assert.True(expected.Value.Values[p].AsSpan().SequenceEqual(values[p]), $"{trainer.Model.Parameters[p].Name} in {accumulate} micro-batches");
        }
    }

    static T5Config Config(string name) => name == "dense" ? T5Batches.Tiny with { Experts = 0 }
        : T5Batches.Tiny with { Dialect = BuiltIn.Named(name) with { GroupSize = -1, BalanceCoefficient = 0.1, ZCoefficient = 0.1 } };

    public static TheoryData<string> Names() => [.. BuiltIn.All.Select(d => d.Name)];

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_learns_in_both_stacks(string dialect)
    {
        using var backend = new CpuBackend(1);
        var config = T5Batches.Tiny with { Context = 8, TargetContext = 4, Dialect = BuiltIn.Named(dialect), Width = 16, Hidden = 16, InitialScale = 1 };
        var trainer = new Trainer(backend, config, new() { Batch = 4, Steps = 8, WarmUp = 1, Rate = 3e-2 });
        double first = 0, last = 0;
        for (var step = 0; step < 8; step++)
        {
            last = trainer.Train(new Same(T5Batches.Of(config, 4, 1, padded: true)), step / 8.0).BitsPerByte;
            if (step == 0) first = last;
        }
        Assert.Equal(0, trainer.Skipped);
        Assert.True(last < 0.8 * first, $"{first} bits at first, {last} at last");
    }

    sealed class Same(TokenBatch batch) : IBatches
    {
        public TokenBatch Of(long step) => batch;
    }

    /// <summary>Embedding, attention, cross-attention, hidden layer, what it adds, experts, and the last norm: streams of their own, each word once.</summary>
    [Fact]
    public void The_dropouts_of_a_step_use_every_word_once()
    {
        List<RandomStream> noted = [];
        using var backend = new Noting(new ScalarBackend<Float32>(), noted);
        using var tape = new Tape(backend);
        var config = T5Batches.Tiny with { Dropout = 0.2, ExpertDropout = 0.3 };
        var model = new T5Model(tape, config, new StartValues(5));
        var batch = T5Batches.Of(config, 2, 3, padded: false);
        var result = model.Forward(batch, new() { Training = true, Streams = new(9), Step = 4 });
        // Two stacks with an embedding and a last norm; 2 + 2 blocks, each with attention, hidden layer and feed-forward, the decoder's with another attention.
        Assert.Equal(2 * 2 + 2 * 3 + 2 * 4, noted.Count);
        Assert.Equal(noted.Count, noted.Distinct().Count());
        tape.Backward(new NextTokenLoss().Compute(tape, model, batch, result, default).Loss);
        Assert.Equal(noted[..18].OrderBy(n => n.Stream), noted[18..].OrderBy(n => n.Stream));
    }

    sealed class Noting(IBackend inner, List<RandomStream> noted) : DelegatingBackend(inner)
    {
        public override void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
        {
            noted.Add(words.Stream);
            base.Dropout(x, rate, words, rows, y, accumulate);
        }
    }

    /// <summary>In a narrow format the parts of attention are ops of their own; in float32 those are the fused op within rounding.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Attention_in_parts_is_attention(bool causal)
    {
        using var backend = new ScalarBackend<Float64>();
        using var tape = new Tape(backend);
        var random = new Random(3);
        Tensor Draw(int rows, int columns) => tape.Constant(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => random.NextSingle() - 0.5f)]);
        AttentionShape shape = new(2, 3, 4, 2, 5, 0.5, causal);
        var (q, k, v, bias) = (Draw(6, 10), Draw(8, 10), Draw(8, 10), Draw(6, 4));
        var pad = tape.Constant(2, 4, [0, 0, 0, -1e30f, 0, 0, 0, 0]).Value;
        double[] fused = backend.ToDoubles(tape.Attention(shape, q, k, v, bias, pad).Value);
        double[] parts = backend.ToDoubles(tape.In(NumberFormat.Float64).Attention(shape, q, k, v, bias, pad).Value);
        for (var i = 0; i < fused.Length; i++) Assert.Equal(fused[i], parts[i], 1e-14);
    }

    [Fact]
    public void A_configuration_that_cannot_be_is_one_line()
    {
        string Line(T5Config config) => Assert.Throws<ConfigurationException>(config.Validate).Message;
        Assert.Contains("buckets", Line(T5Batches.Tiny with { RelativeBuckets = 7 }), StringComparison.Ordinal);
        Assert.Contains("vocabulary of 13", Line(T5Batches.Tiny with { EndId = 13 }), StringComparison.Ordinal);
        Assert.Contains("experts 1", Line(T5Batches.Tiny with { Experts = 1 }), StringComparison.Ordinal);
        Assert.Contains("layers 0 + 2", Line(T5Batches.Tiny with { EncoderLayers = 0 }), StringComparison.Ordinal);
    }
}
