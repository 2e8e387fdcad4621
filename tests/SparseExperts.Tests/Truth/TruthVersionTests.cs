using SparseExperts.Checking;
using SparseExperts.Hub;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>A recording is held to the rules of the version that made it, whatever wrote the checkpoint.</summary>
public sealed class TruthVersionTests
{
    const string Part = "checkpoints", Narrow = "bf16/switch-tiny", Gated = "switch-tiny-gated", Sparse = "encoder.block.1.layer.1";
    const string Five = "transformers 5.17.0, torch 2.11.0";

    static readonly CheckBackends Backends = new(() => new ScalarBackend<Tracked>(), () => new ScalarBackend<Float64>(), () => new ScalarBackend<Disturbed>());

    static HubFolder Folder(string checkpoint) => HubFolder.Load(Path.Combine(TruthFolder.Part(Part), checkpoint));

    static Recording Io(string checkpoint) => Recording.Load(Path.Combine(TruthFolder.Part(Part), checkpoint, "io.safetensors"));

    static Recording By(string? producer, Recording recording) => Recording.Of(recording.Path, recording.Names.Select(recording.Get), producer);

    /// <summary>What a sparse block computes where nobody is dropped: made of transformers 4's rule by its named fault.</summary>
    static Recording NobodyDropped(HubFolder folder, Recording right)
    {
        var kept = $"router.{Sparse}.mlp.router.kept";
        var bare = Recording.Of(right.Path, right.Names.Where(n => !n.StartsWith("router.", StringComparison.Ordinal)).Select(right.Get), right.Producer);
        var model = CheckedModels.Of(folder, bare, Backends.Exact);
        model.Tape.Recording = false;
        var run = new BlockRun(model.Tape, bare, new Dictionary<string, Numbers>());
        model.Blocks.Single(b => b.Name == Sparse).Faults(bare).First(f => f.Sentence == "capacity never enforced").Run(run);
        return right.With(run.Outputs.Where(o => right.Has(o.Key)).Select(o => right.Get(o.Key) with { Values = o.Value.Values }));
    }

    static ModelVerdict Checked(HubFolder folder, Recording recording)
    {
        ICheckedModel of(Func<SparseExperts.IBackend> backend) => CheckedModels.Of(folder, recording, backend);
        var model = of(Backends.Bounded);
        var index = model.Blocks.ToList().FindIndex(b => b.Name == Sparse);
        return ModelCheck.Block(model, of(Backends.Disturbed), recording, index);
    }

    [Fact]
    public void Who_recorded_decides_whether_a_capacity_is_enforced()
    {
        using var folder = Folder(Narrow);
        var right = Io(Narrow);
        var kept = right.Get($"router.{Sparse}.mlp.router.kept");
        Assert.Contains(kept.Values.Chunk(folder.Config.Experts), row => row.Sum() == 0);       // somebody is dropped
        var recorded = NobodyDropped(folder, right);
        Assert.Equal(Outcome.Agrees, Checked(folder, right).Outcome);
        Assert.Equal(Outcome.Differs, Checked(folder, recorded).Outcome);
        Assert.Equal(Outcome.Agrees, Checked(folder, By(Five, recorded)).Outcome);
        Assert.Equal(Outcome.Differs, Checked(folder, By(Five, right)).Outcome);
        Assert.Equal(Outcome.Agrees, Checked(folder, By("transformers 5.24.0", right)).Outcome);
        Assert.Equal(Outcome.Agrees, Checked(folder, By("torch 2.11.0, MyModel", right)).Outcome);
    }

    [Theory]
    [InlineData(Five, "recorded by transformers 5.17.0; config.json says 4.57.6: held to 5.17's rule")]
    [InlineData("transformers 5.24.0", "recorded by transformers 5.24.0; config.json says 4.57.6: held to 5.24's rule")]
    [InlineData("transformers 4.57.6, torch 2.13.0", null)]
    [InlineData("transformers 4.52.1", null)]
    [InlineData("jax", null)]
    [InlineData(null, null)]
    public void The_line_says_which_rule_was_held(string? producer, string? line)
    {
        using var folder = Folder(Gated);
        var verdict = CheckedModels.Activations(folder, By(producer, Io(Gated)), Backends);
        Assert.Equal(line is null ? [] : [line], verdict.HeldTo);
        Assert.Equal(line is null ? [] : [line], ModelVerdict.Join([verdict, verdict]).HeldTo);
    }

    /// <summary>In transformers 5 the losses of routers are part of a loss only where somebody asked for them.</summary>
    [Fact]
    public void A_loss_of_transformers_5_is_the_entropy_alone_where_no_other_was_recorded()
    {
        using var folder = Folder(Gated);
        var io = Io(Gated);
        var entropy = Entropy(io);
        string[] others = ["loss", "encoder_z_loss", "encoder_aux_loss", "decoder_z_loss", "decoder_aux_loss"];
        var bare = Recording.Of(io.Path, io.Names.Except(others).Select(io.Get), Five).With(io.Get("loss") with { Values = [entropy] });
        var verdict = GradientCheck.Run(folder, bare, null, Backends);
        Assert.Equal("loss", Assert.Single(verdict.Blocks).Name);
        Assert.Equal(Outcome.Agrees, verdict.Outcome);
        Assert.NotEmpty(verdict.HeldTo);
        Assert.Equal(Outcome.Differs, GradientCheck.Run(folder, By("transformers 4.57.6", bare), null, Backends).Outcome);
        Assert.Equal(Outcome.Agrees, GradientCheck.Run(folder, io, null, Backends).Outcome);
    }

    static double Entropy(Recording io)
    {
        var (logits, labels) = (io.Get("logits"), io.Integers("labels"));
        var rows = logits.Values.Chunk((int)logits.Shape[^1]).ToArray();
        return labels.Index().Where(l => l.Item != -100).Average(l => Math.Log(rows[l.Index].Sum(Math.Exp)) - rows[l.Index][l.Item]);
    }

    /// <summary>transformers does not tie the embeddings of an untied encoder and decoder again, so that each has a gradient of its own.</summary>
    [Fact]
    public void Gradients_of_both_embeddings_are_those_of_the_shared_one()
    {
        using var folder = Folder(Gated);
        var recorded = Recording.Load(Path.Combine(TruthFolder.Part(Part), Gated, "grads.safetensors"));
        var whole = recorded.Get("grad.shared.weight");
        CaseTensor Share(string name, double share) => whole with { Name = name, Values = [.. whole.Values.Select(v => v * share)] };
        var apart = recorded.With(
            Share("grad.shared.weight", 0), Share("grad.encoder.embed_tokens.weight", 0.75), Share("grad.decoder.embed_tokens.weight", 0.25));
        Assert.Equal(Outcome.Agrees, GradientCheck.Run(folder, apart, null, Backends).Outcome);
        var wrong = apart.With(Share("grad.decoder.embed_tokens.weight", 0.5));
        Assert.Equal("grad.shared.weight", GradientCheck.Run(folder, wrong, null, Backends).First?.Name);
    }
}
