using SparseExperts.Checking;
using SparseExperts.Hub;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>A Switch Transformer that does one thing otherwise is found at its block, with the thing in words.</summary>
public sealed class TruthSwitchFaultTests
{
    const string Part = "checkpoints", Narrow = "bf16/switch-tiny", Gated = "switch-tiny-gated";

    static readonly CheckBackends Backends = new(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());

    [Theory]
    [InlineData(Narrow, "encoder.block.0.layer.0", "q and k exchanged in the self-attention of encoder block 0")]
    [InlineData(Narrow, "decoder.block.1.layer.1", "v transposed in the cross-attention of decoder block 1")]
    [InlineData(Narrow, "encoder.block.1.layer.0", "relative position bias missing")]
    [InlineData(Narrow, "decoder.block.0.layer.1", "padding of the encoder ignored in cross-attention")]
    [InlineData(Gated, "encoder.block.0.layer.1", "norm epsilon 1e-3 in place of 1e-6")]
    [InlineData(Narrow, "encoder.block.1.layer.1", "capacity 6 in place of 5")]
    [InlineData(Narrow, "decoder.block.1.layer.2", "capacity 4 in place of 5")]
    [InlineData(Gated, "encoder.block.0.layer.0", "residual skipped: the layer's output alone goes on")]
    [InlineData(Gated, "decoder.block.1.layer.2", "residual skipped: the layer's output alone goes on")]
    [InlineData(Gated, "decoder.block.0.layer.1", "norm skipped")]
    [InlineData(Gated, "decoder.block.0.layer.2", "mean subtracted in the norm, which is one of squares")]
    [InlineData(Gated, "encoder.block.0.layer.0", "relative positions with the sign turned round")]
    [InlineData(Gated, "encoder.block.0.layer.0", "padding taken on the other side")]
    [InlineData(Gated, "decoder.block.1.layer.1", "attention of decoder.block.0.layer.1 in decoder.block.1.layer.1")]
    [InlineData(Gated, "decoder.block.1.layer.1", "cross-attention reads the encoder without its final norm")]
    [InlineData(Gated, "encoder.block.1.layer.1", "experts 0 and 1 exchanged in encoder block 1")]
    [InlineData(Gated, "encoder.block.1.layer.1", "wo of experts 0 and 1 exchanged in encoder block 1")]
    [InlineData(Gated, "decoder.block.1.layer.2", "experts of encoder.block.1.layer.1 in decoder.block.1.layer.2")]
    [InlineData(Narrow, "decoder.final_layer_norm", "final norm skipped")]
    [InlineData(Narrow, "lm_head", "head scale M^-1/2 forgotten")]
    public void A_planted_fault_is_named_at_its_block(string checkpoint, string block, string sentence)
    {
        var path = Path.Combine(TruthFolder.Part(Part), checkpoint);
        using var folder = HubFolder.Load(path);
        var right = Recording.Load(Path.Combine(path, "io.safetensors"));
        var verdict = CheckedModels.Activations(folder, Planted(folder, right, block, sentence), Backends);
        Assert.Equal(block, verdict.First?.Name);
        Assert.Equal(sentence, verdict.Cause);
    }

    /// <summary>The recording with what the block computes with that fault.</summary>
    static Recording Planted(HubFolder folder, Recording right, string name, string sentence)
    {
        // Without the router's records its own choices count.
        var bare = Recording.Of(right.Path, right.Names.Where(n => !n.StartsWith("router.", StringComparison.Ordinal)).Select(right.Get));
        var model = CheckedModels.Of(folder, bare, Backends.Exact);
        model.Tape.Recording = false;
        var computed = new Dictionary<string, Numbers>();
        foreach (var before in model.Blocks.TakeWhile(b => b.Name != name))
        {
            var its = new BlockRun(model.Tape, bare, computed);
            before.Run(its);
            foreach (var (output, numbers) in its.Outputs) computed[output] = numbers;
        }
        var run = new BlockRun(model.Tape, bare, computed);
        model.Blocks.Single(b => b.Name == name).Faults(bare).First(f => f.Sentence == sentence).Run(run);
        CaseTensor? Recorded(string output, double[] values) => right.Find(output) is { } its ? its with { Values = values }
            : output.StartsWith("block.", StringComparison.Ordinal) ? new(output, right.Get("logits").DType, [values.Length], values) : null;
        return right.With(run.Outputs.Select(o => Recorded(o.Key, o.Value.Values)).OfType<CaseTensor>());
    }
}
