using SparseExperts.Autograd;
using SparseExperts.Checking.Hub;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Switch;

/// <summary>The blocks of an encoder and decoder in forward order, and the losses of their routers.</summary>
static class SwitchBlocks
{
    public static IEnumerable<CheckedBlock> Of(T5Model model) =>
        [.. OfStack(model, model.Encoder), .. OfStack(model, model.Decoder), new SwitchHead(model), new SwitchRouterLosses(model)];

    static IEnumerable<CheckedBlock> OfStack(T5Model model, T5Stack stack)
    {
        yield return new SwitchEmbedding(model, stack);
        for (var i = 0; i < stack.Layers.Count; i++) yield return new SwitchLayer(model, stack, i);
        yield return new SwitchFinalNorm(model, stack);
    }
}

/// <summary>What the blocks of both stacks share.</summary>
abstract class SwitchBlock(T5Model model, T5Stack stack) : CheckedBlock
{
    protected T5Model Model { get; } = model;
    protected T5Stack Stack { get; } = stack;
    protected bool IsDecoder => ReferenceEquals(Stack, Model.Decoder);

    /// <summary>Ids of the stack, row by row.</summary>
    protected int[] Ids(TokenBatch batch) => IsDecoder ? Model.DecoderIds(batch) : batch.Ids;

    protected int Length(TokenBatch batch) => Ids(batch).Length / batch.Sequences;

    protected Tensor Stream(BlockRun run, TokenBatch batch, params IReadOnlyList<string> names) =>
        run.Input(Ids(batch).Length, Model.Config.Width, Length(batch), names);

    /// <summary>Blocks of the stack, and what recordings call the stream before one of them.</summary>
    protected int BlockCount => IsDecoder ? Model.Config.DecoderLayers : Model.Config.EncoderLayers;
    protected string States(int index) => $"{Stack.Name}_hidden_states.{index}";

    /// <summary>What a layer reads, and its stream is called besides where it is the first of a block.</summary>
    protected IReadOnlyList<string> NamesBefore(int layer)
    {
        var each = Stack.Layers.Count / BlockCount;
        var own = $"block.{Stack.Layers[layer].Name}.in";
        return layer % each == 0 ? [own, States(layer / each)] : [own];
    }
}

/// <summary><c>encoder.embed_tokens</c>: <c>input_ids</c> → <c>encoder_hidden_states.0</c>; the same of the decoder.</summary>
sealed class SwitchEmbedding(T5Model model, T5Stack stack) : SwitchBlock(model, stack)
{
    public override string Name => $"{Stack.Name}.embed_tokens";

    public override void Run(BlockRun run) => Run(run, x => x);

    void Run(BlockRun run, Func<Tensor, Tensor> instead)
    {
        var batch = SwitchBatch.Of(run.Recording);
        run.Output(instead(Model.Embed(Stack, Ids(batch), Length(batch))), null, NamesBefore(0));
    }

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        var root = Math.Sqrt(Model.Config.Width);
        yield return new("embedding multiplied by the root of the width", run => Run(run, x => run.Tape.Scale(x, root)));
        yield return new("embedding divided by the root of the width", run => Run(run, x => run.Tape.Scale(x, 1 / root)));
        if (IsDecoder)
            yield return new("decoder read the labels without a start before them", run => Run(run, _ =>
            {
                var batch = SwitchBatch.Of(run.Recording);
                int[] ids = [.. batch.Labels.Select(l => l == TokenBatch.NoLabel ? Model.Config.PaddingId : l)];
                return Model.Embed(Stack, ids.Length == Ids(batch).Length ? ids : Ids(batch), Length(batch));
            }));
        if (Model.HeadWeight is { } head)
            yield return new("lm_head in place of the shared embedding", run => Run(run, _ =>
            {
                var batch = SwitchBatch.Of(run.Recording);
                return run.Tape.LookUp(run.Tape.Transpose(head), run.Tape.Upload(Ids(batch)), Length(batch));
            }));
    }
}

/// <summary><c>encoder.block.I.layer.J</c>: attention, cross-attention, feed-forward or experts, norm and residual sum included.</summary>
sealed class SwitchLayer(T5Model model, T5Stack stack, int index) : SwitchBlock(model, stack)
{
    T5Layer Layer => Stack.Layers[index];
    public override string Name => Layer.Name;

    public override void Run(BlockRun run) => Run(run, Layer, inputs => inputs);

    void Run(BlockRun run, T5Layer with, Func<StackInputs, StackInputs> change)
    {
        var batch = SwitchBatch.Of(run.Recording);
        var (ids, length) = (Ids(batch), Length(batch));
        var pad = Model.Pad(batch);
        var inputs = new StackInputs
        {
            Ids = ids,
            Tasks = new int[ids.Length],
            Sequences = batch.Sequences,
            Pass = default,
            Bias = Stack.Positions(length, length),
            Pad = IsDecoder ? null : pad,
            TokenMask = T5Model.TokenMask(batch, IsDecoder),
            Memory = with is T5Attention { SeesEncoder: true } ? Memory(run, batch, pad) : null,
            Router = with is T5Sparse sparse ? new SwitchRouter(run, sparse, ids.Length, batch.Sequences) : null,
        };
        run.Output(with.Forward(Stream(run, batch, NamesBefore(index)), change(inputs)).Output, null, NamesAfter());
    }

    Encoded Memory(BlockRun run, TokenBatch batch, Matrix? pad)
    {
        var length = batch.Ids.Length / batch.Sequences;
        string[] names = ["encoder_last_hidden_state", $"encoder_hidden_states.{Model.Config.EncoderLayers}"];
        return new(run.Input(batch.Ids.Length, Model.Config.Width, length, names), length, pad, []);
    }

    /// <summary>The last layer of all has no other name: after it comes the norm.</summary>
    IReadOnlyList<string> NamesAfter() =>
        [$"block.{Name}.out", .. index + 1 < Stack.Layers.Count ? NamesBefore(index + 1) : []];

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        var faults = SwitchFaults.Of(Model, Stack, Layer);
        if (Layer is T5Sparse sparse) faults = faults.Concat(new SwitchSparseFaults(sparse).Formats(recording));
        foreach (var fault in faults) yield return new(fault.Sentence, run => Run(run, fault.With, fault.Inputs));
        if (Layer is not T5Attention { SeesEncoder: true }) yield break;
        yield return new("cross-attention reads the encoder without its final norm", run => Run(run, Layer, inputs => inputs with
        {
            Memory = inputs.Memory! with
            {
                Output = run.Input(inputs.Memory.Output.Rows, Model.Config.Width, inputs.Memory.Length, $"block.{Model.Encoder.Layers[^1].Name}.out"),
            },
        }));
    }
}

/// <summary><c>encoder.final_layer_norm</c>: → <c>encoder_last_hidden_state</c>; the same of the decoder.</summary>
sealed class SwitchFinalNorm(T5Model model, T5Stack stack) : SwitchBlock(model, stack)
{
    public override string Name => $"{Stack.Name}.final_layer_norm";

    public override void Run(BlockRun run) => Run(run, Stack.Finish);

    void Run(BlockRun run, Func<Tensor, Tensor> norm)
    {
        var batch = SwitchBatch.Of(run.Recording);
        var x = Stream(run, batch, $"block.{Stack.Layers[^1].Name}.out");
        string[] names = IsDecoder ? [States(BlockCount)] : [States(BlockCount), "encoder_last_hidden_state"];
        run.Output(norm(x), null, names);
    }

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        foreach (var epsilon in FaultParts.Epsilons.Where(e => e != Model.Config.NormEpsilon))
            yield return new(SwitchFaults.Epsilon(epsilon, Model.Config.NormEpsilon), run => Run(run, x => Stack.Finish(x, epsilon)));
        yield return new("final norm skipped", run => Run(run, x => x));
        var rounded = Stack.Layers[0].Parts.Rounded;
        yield return new("mean subtracted in the final norm, which is one of squares", run => Run(run, x => Stack.Finish(rounded.LessMean(x))));
    }
}

/// <summary><c>lm_head</c>: the decoder's last states → <c>logits</c>.</summary>
sealed class SwitchHead(T5Model model) : SwitchBlock(model, model.Decoder)
{
    public override string Name => "lm_head";

    public override void Run(BlockRun run) => Run(run, Model.Head);

    void Run(BlockRun run, Func<Tensor, Tensor> head)
    {
        var batch = SwitchBatch.Of(run.Recording);
        run.Output(head(Stream(run, batch, States(BlockCount))), null, "logits");
    }

    public override IEnumerable<BlockFault> Faults(Recording recording)
    {
        var root = Math.Sqrt(Model.Config.Width);
        yield return Model.Config.TiedHead
            ? new("head scale M^-1/2 forgotten", run => Run(run, x => run.Tape.Linear(x, Model.Shared, transpose: true)))
            : new("head scale M^-1/2 applied, where the head is not tied", run => Run(run, x => run.Tape.Scale(Model.Head(x), 1 / root)));
        if (!Model.Config.TiedHead)
            yield return new("head tied to the embedding, which it is not", run => Run(run, x => run.Tape.Linear(x, Model.Shared, transpose: true)));
        if (Model.HeadWeight is { } head && head.Rows == head.Columns)
            yield return new("lm_head transposed", run => Run(run, x => run.Tape.Linear(x, head, transpose: true)));
    }
}
