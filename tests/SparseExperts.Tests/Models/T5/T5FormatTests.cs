using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Scalar;
using SparseExperts.Tests.EndToEnd;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

/// <summary>Models that compute in bfloat16, with routers in it or in float32, while the optimizer keeps float32 weights.</summary>
public sealed class T5FormatTests
{
    static bool IsNarrow(float value) => Rounding.To(NumberFormat.BFloat16, value) == value;

    static ModelResult Forward(Tape tape, ModelFormat format)
    {
        var config = T5Batches.Tiny with { Format = format };
        var model = new T5Model(tape, config, new StartValues(3));
        return model.Forward(T5Batches.Of(config, 2, 5, padded: false), new Pass { Training = true, Streams = new(3), Step = 1 });
    }

    [Theory]
    [InlineData(ModelFormat.Bfloat16, true)]
    [InlineData(ModelFormat.Selective, false)]
    public void Results_are_narrow_and_routers_only_where_they_are_told(ModelFormat format, bool routers)
    {
        using var backend = new ScalarBackend<Float32>();
        using var tape = new Tape(backend);
        var result = Forward(tape, format);
        Assert.All(backend.ToArray(result.Logits.Value), v => Assert.True(IsNarrow(v)));
        Assert.NotEmpty(result.Sparse);
        foreach (var sparse in result.Sparse)
        {
            Assert.All(backend.ToArray(sparse.Output.Value), v => Assert.True(IsNarrow(v)));
            Assert.Equal(routers, backend.ToArray(sparse.Logits.Value).All(IsNarrow));
            Assert.Equal(routers, backend.ToArray(sparse.Probabilities.Value).All(IsNarrow));
        }
    }

    /// <summary>A weight that is rounded where it is used computes what a rounded weight computes.</summary>
    [Fact]
    public void Weights_are_read_rounded()
    {
        using var backend = new ScalarBackend<Float32>();
        var config = T5Batches.Tiny with { Format = ModelFormat.Bfloat16 };
        float[] Logits(bool rounded)
        {
            using var tape = new Tape(backend);
            var model = new T5Model(tape, config, new StartValues(3));
            foreach (var p in rounded ? model.Parameters : []) backend.Round(NumberFormat.BFloat16, p.Value, p.Value);
            return backend.ToArray(model.Forward(T5Batches.Of(config, 2, 5, padded: false), default).Logits.Value);
        }
        Assert.Equal(Logits(rounded: true), Logits(rounded: false));
    }

    /// <summary>Steps that are lost in bfloat16 are kept: the weights move by less than half a unit of their last bfloat16 place.</summary>
    [Theory]
    [InlineData(ModelFormat.Bfloat16)]
    [InlineData(ModelFormat.Selective)]
    public void The_optimizers_weights_are_float32(ModelFormat format)
    {
        using var backend = new CpuBackend(1);
        var config = T5Batches.Tiny with { Format = format };
        var trainer = new Trainer(backend, config, new() { Steps = 2, Batch = 2, Rate = 1e-5, WarmUp = 0 });
        var before = trainer.Model.Parameters.Select(p => backend.ToArray(p.Value)).ToArray();
        var batch = T5Batches.Of(config, 2, 5, padded: false);
        for (var step = 0; step < 2; step++) Assert.True(double.IsFinite(trainer.Train(new Same(batch), 0).BitsPerByte));
        var after = trainer.Model.Parameters.Select(p => backend.ToArray(p.Value)).ToArray();
        var moved = before.SelectMany(v => v).Zip(after.SelectMany(v => v)).Where(pair => pair.First != pair.Second).ToArray();
        Assert.NotEmpty(moved);
        Assert.Contains(moved, pair => Rounding.To(NumberFormat.BFloat16, pair.First) == Rounding.To(NumberFormat.BFloat16, pair.Second));
    }

    sealed class Same(TokenBatch batch) : IBatches
    {
        public TokenBatch Of(long step) => batch;
    }

    [Fact]
    public void A_decoder_has_no_such_format()
    {
        using var workspace = new Workspace();
        var result = MoeCommand.Run(workspace.Tiny("run", "--format", "selective"));
        Assert.Equal(2, result.ExitCode);
        Assert.Equal("moe: format selective: family decoder computes in float32; choose a preset of another family\n", result.Error);
    }
}
