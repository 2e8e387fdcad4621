using SparseExperts.Autograd;
using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>What the blocks of a decoder share: the model, and the batch of a recording.</summary>
abstract class DecoderBlock(HubModel model) : CheckedBlock
{
    protected HubModel Model { get; } = model;
    protected int Width => Model.Form.Width;
    protected int LayerCount => Model.Layers.Count;

    protected static HubInputs Batch(Recording recording) => RecordedBatch.Of(recording);

    /// <summary>Padding is recorded as computed and need not be reproduced.</summary>
    protected static Func<int, bool> Real(HubInputs inputs) => row => inputs.IsReal(row / inputs.Length, row % inputs.Length);

    protected Tensor Stream(BlockRun run, HubInputs inputs, params string[] names) => run.Input(inputs.Ids.Length, Width, inputs.Length, names);
}

/// <summary><c>embed_tokens</c>: ids → <c>hidden_states.0</c>.</summary>
sealed class EmbeddingBlock(HubModel model) : DecoderBlock(model)
{
    public override string Name => "embed_tokens";

    public override void Run(BlockRun run)
    {
        var inputs = Batch(run.Recording);
        Output(run, inputs, Model.Embed(inputs));
    }

    internal static void Output(BlockRun run, HubInputs inputs, Tensor x) => run.Output(x, Real(inputs), "hidden_states.0", "block.layers.0.self_attn.in");

    public override IEnumerable<BlockFault> Faults(Recording recording) => HeadFaults.OfEmbedding(Model);
}

/// <summary><c>layers.I.self_attn</c>.</summary>
sealed class AttentionBlock(HubModel model, int layer) : DecoderBlock(model)
{
    public override string Name => $"layers.{layer}.self_attn";

    public override void Run(BlockRun run) => Run(run, Model.Layers[layer], Batch(run.Recording));

    void Run(BlockRun run, DecoderLayer with, HubInputs inputs)
    {
        var x = Stream(run, inputs, $"block.{Name}.in", $"hidden_states.{layer}");
        run.Output(with.Attend(x, inputs), Real(Batch(run.Recording)), $"block.{Name}.out", $"block.layers.{layer}.mlp.in");
    }

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        var inputs = Batch(recording);
        foreach (var (sentence, with) in AttentionFaults.Of(Model.Layers[layer], layer)) yield return new(sentence, run => Run(run, with, inputs));
        foreach (var (sentence, other) in AttentionFaults.OfInputs(Model.Layers[layer], inputs))
            yield return new(sentence, run => Run(run, Model.Layers[layer], other));
        var others = new OtherLayers(Model, layer);
        foreach (var (sentence, with) in others.All().Concat(others.OfAttention())) yield return new(sentence, run => Run(run, with, inputs));
    }
}

/// <summary><c>layers.I.mlp</c>: dense or routed, with its router's decisions.</summary>
sealed class FeedForwardBlock(HubModel model, int layer) : DecoderBlock(model)
{
    public override string Name => $"layers.{layer}.mlp";

    public override void Run(BlockRun run) => Run(run, Model.Layers[layer]);

    void Run(BlockRun run, DecoderLayer with)
    {
        var inputs = Batch(run.Recording);
        var x = Stream(run, inputs, $"block.{Name}.in", $"block.layers.{layer}.self_attn.out");
        var real = Real(inputs);
        var (name, kind) = (RouterNames.Find(run.Recording, layer), RouterNames.Kind(Model, run.Recording, layer));
        var call = with.Weights.Experts?.Call(x, inputs, with.Format, false);
        var instead = call is null ? null : new RecordedRouter(run, call, name, kind, real);
        var next = layer + 1 < LayerCount ? [$"block.layers.{layer + 1}.self_attn.in", $"hidden_states.{layer + 1}"] : Array.Empty<string>();
        run.Output(with.Feed(x, inputs, instead: instead).Output, row => real(row) && instead?.IsOpen(row) != true, [$"block.{Name}.out", .. next]);
    }

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        BlockFault Own(LayerFault fault, bool isUsual) => new(fault.Sentence, run => Run(run, fault.With)) { IsUsual = isUsual };
        var (own, others) = (Model.Layers[layer], new OtherLayers(Model, layer));
        return FeedForwardFaults.Usual(own, layer).Concat(others.All()).Concat(others.OfFeedForward())
            .Concat(FeedForwardFaults.Formats(own, layer, recording)).Select(f => Own(f, true))
            .Concat(FeedForwardFaults.Rules(own, layer).Select(f => Own(f, false)));
    }
}

/// <summary><c>norm</c>: the last layer's output → the last <c>hidden_states</c>.</summary>
sealed class NormBlock(HubModel model) : DecoderBlock(model)
{
    public override string Name => "norm";

    public override void Run(BlockRun run) => Run(run, Model.Normed);

    internal void Run(BlockRun run, Func<Tensor, Tensor> norm)
    {
        var inputs = Batch(run.Recording);
        run.Output(norm(Stream(run, inputs, $"block.layers.{LayerCount - 1}.mlp.out")), Real(inputs), $"hidden_states.{LayerCount}");
    }

    public override IEnumerable<BlockFault> Faults(Recording recording) =>
        HeadFaults.OfNorm(Model).Select(f => new BlockFault(f.Sentence, run => Run(run, f.With)));
}

/// <summary><c>lm_head</c>: → <c>logits</c>.</summary>
sealed class HeadBlock(HubModel model) : DecoderBlock(model)
{
    public override string Name => "lm_head";

    public override void Run(BlockRun run) => Run(run, Model.Logits);

    void Run(BlockRun run, Func<Tensor, Tensor> head)
    {
        var inputs = Batch(run.Recording);
        run.Output(head(Stream(run, inputs, $"hidden_states.{LayerCount}")), Real(inputs), "logits");
    }

    public override IEnumerable<BlockFault> Faults(Recording recording) =>
        HeadFaults.OfHead(Model).Select(f => new BlockFault(f.Sentence, run => Run(run, f.With)));
}
