using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>
/// T5 and the Switch Transformer: x ← x + f(RMS(x)∘w) for attention and feed-forward layers of an encoder and a decoder, whose last norm's output gives the
/// logits: h·W, or D^−½·h·Eᵀ with the embedding E that both stacks share (Raffel et al. 2020; Fedus et al. 2022).
/// </summary>
public sealed class T5Model : ITextToTextModel
{
    /// <summary>Added to the scores of padding: far below every score, and no infinity that would make NaN of a row that sees nothing else.</summary>
    const float Unseen = -1e30f;

    readonly T5Parts _parts;
    readonly Tape _tape;

    /// <param name="source">Where its numbers come from.</param>
    /// <param name="shard">The part of every matrix that is held here; null for all of it.</param>
    /// <param name="format">Number format of every step of eager code, where a recording of it is checked; null computes in the configuration's.</param>
    public T5Model(Tape tape, T5Config config, IWeightSource source, Func<WeightPart, WeightPart>? shard = null, NumberFormat? format = null)
    {
        config.Validate();
        (_tape, Config, _parts) = (tape, config, new(tape, config, format ?? config.Format.Numbers(), IsEager: format is not null));
        var weights = new Weights(tape, source, (input, _) => Starts.TruncatedNormal(config.InitialScale, input), shard);
        Shared = weights.Matrix("shared", config.Vocabulary, config.Width, Starts.Normal(1));
        Encoder = new(_parts, weights.Sub("encoder"), isDecoder: false, first: 1);
        Decoder = new(_parts, weights.Sub("decoder"), isDecoder: true, first: 1 + config.EncoderLayers);
        if (!config.TiedHead) HeadWeight = _parts.Projection(weights, "lm_head", config.Width, config.Vocabulary);
        State = weights.States;
    }

    public T5Config Config { get; }

    /// <summary>The embedding of both stacks [V, D], and the head [D, V] where it has one of its own.</summary>
    internal Parameter Shared { get; }
    internal Parameter? HeadWeight { get; }
    internal T5Stack Encoder { get; }
    internal T5Stack Decoder { get; }
    ITextToTextConfig ITextToTextModel.Config => Config;
    IModelConfig IModel.Config => Config;
    public IReadOnlyList<Parameter> Parameters => _tape.Parameters;
    public IReadOnlyList<StateMatrix> State { get; }
    public long ParameterCount => _tape.Parameters.Sum(p => (long)p.Rows * p.Columns);
    public long ActiveParameterCount => ActiveExperts.Parameters(_tape.Parameters, Config.ExpertsPerToken);
    public double Baseline => Encoder.Sparse.Concat(Decoder.Sparse).FirstOrDefault()?.Block.Baseline ?? 0;

    public ITextWriter NewWriter(TokenBatch inputs, int most, bool caches = true) => new T5Writer(_tape, this, inputs, most, caches);

    public ModelResult Forward(TokenBatch batch, Pass pass)
    {
        if (pass.Cache is not null) throw new ArgumentException("a cache of keys and values is for models without an encoder", nameof(pass));
        var memory = Encode(batch, pass);
        var (output, sparse) = Decode(batch, pass, memory);
        var logits = Head(output);
        using var losses = _tape.Within("losses");
        return new(logits, LayerLosses.Join(_tape, Config, pass.Training, Counted(memory.Sparse, sparse)), [.. memory.Sparse, .. sparse]);
    }

    /// <summary>The sparse layers of the stacks whose losses count.</summary>
    IReadOnlyList<SparseResult>[] Counted(IReadOnlyList<SparseResult> encoder, IReadOnlyList<SparseResult> decoder)
    {
        bool Counts(int step) => !(Config.SparseStacksAreFree && step == 1);
        return [Counts(Config.EncoderSparseStep) ? encoder : [], Counts(Config.DecoderSparseStep) ? decoder : []];
    }

    internal Encoded Encode(TokenBatch batch, Pass pass)
    {
        var pad = Pad(batch);
        var inputs = Inputs(batch, batch.Ids, pass) with { Pad = pad, TokenMask = TokenMask(batch, decoder: false) };
        var (output, sparse) = Encoder.Forward(Embed(Encoder, inputs.Ids, inputs.Length), inputs);
        return new(output, inputs.Length, pad, sparse);
    }

    internal (Tensor Output, IReadOnlyList<SparseResult> Sparse) Decode(TokenBatch batch, Pass pass, Encoded memory)
    {
        var inputs = Inputs(batch, DecoderIds(batch), pass) with { Memory = memory, TokenMask = TokenMask(batch, decoder: true) };
        return Decoder.Forward(Embed(Decoder, inputs.Ids, inputs.Length), inputs);
    }

    /// <summary>1 for a token of the stack, 0 for padding; null where all are tokens. A decoder has padding where a padded batch has no label.</summary>
    internal static float[]? TokenMask(TokenBatch batch, bool decoder)
    {
        if (!decoder) return batch.HasPadding ? Array.ConvertAll(batch.Mask, m => (float)m) : null;
        return batch.Mask.Length > 0 && batch.Compared < batch.Labels.Length
            ? Array.ConvertAll(batch.Labels, label => label == TokenBatch.NoLabel ? 0f : 1)
            : null;
    }

    /// <summary>Keys and values of an encoded batch for texts about it.</summary>
    internal T5Cache NewCache(Encoded memory, int most) => new(_parts, Decoder.Layers.OfType<T5Attention>(), memory, most);

    /// <summary>Logits [R, V] after one more token of each of R texts.</summary>
    internal Tensor Continue(int[] ids, T5Cache cache)
    {
        var inputs = new StackInputs { Ids = ids, Tasks = new int[ids.Length], Sequences = ids.Length, Pass = default, Cache = cache };
        var (output, _) = Decoder.Forward(Embed(Decoder, ids, 1), inputs);
        cache.Advance();
        return Head(output);
    }

    /// <summary>What the decoder reads: its own ids, or the labels behind the start.</summary>
    internal int[] DecoderIds(TokenBatch batch) => batch.DecoderIds.Length > 0 ? batch.DecoderIds : Shifted(batch);

    /// <summary>Labels as the decoder reads them: each sequence one place later, behind the start, and padding where they are ignored.</summary>
    int[] Shifted(TokenBatch batch)
    {
        var length = batch.Labels.Length / batch.Sequences;
        if (length == 0) throw new ArgumentException("a decoder needs labels or ids of its own", nameof(batch));
        int Of(int i) => i % length == 0 ? Config.StartId : batch.Labels[i - 1] == TokenBatch.NoLabel ? Config.PaddingId : batch.Labels[i - 1];
        return [.. Enumerable.Range(0, batch.Labels.Length).Select(Of)];
    }

    static StackInputs Inputs(TokenBatch batch, int[] ids, Pass pass)
    {
        var (tasks, length) = (new int[ids.Length], ids.Length / batch.Sequences);
        for (var t = 0; t < tasks.Length && batch.Tasks.Length > 0; t++) tasks[t] = batch.Tasks[t / length];
        return new() { Ids = ids, Tasks = tasks, Sequences = batch.Sequences, Pass = pass };
    }

    /// <summary>What is added to the scores of the encoder's padding [B, S]; null where there is none.</summary>
    internal Matrix? Pad(TokenBatch batch)
    {
        if (!batch.HasPadding) return null;
        if (batch.Mask.Length != batch.Ids.Length) throw new ArgumentException($"a mask of {batch.Mask.Length} for {batch.Ids.Length} ids", nameof(batch));
        return _tape.Constant(batch.Sequences, batch.Ids.Length / batch.Sequences, Array.ConvertAll(batch.Mask, m => m == 0 ? Unseen : 0)).Value;
    }

    internal Tensor Embed(T5Stack stack, int[] ids, int length)
    {
        using var place = _tape.Within($"{stack.Name}.embed_tokens");
        return _parts.Rounded.Round(_tape.LookUp(Shared, _tape.Upload(ids), length));
    }

    /// <summary>Logits [B·S, V] of the decoder's output.</summary>
    internal Tensor Head(Tensor output)
    {
        using var place = _tape.Within("lm_head");
        if (HeadWeight is not null) return _parts.Rounded.Linear(output, HeadWeight);
        var scaled = _parts.Rounded.Scale(output, 1 / Math.Sqrt(Config.Width));
        return _parts.Rounded.Linear(scaled, Shared, transpose: true);
    }

    public void AfterStep(IReadOnlyList<SparseResult> sparse, StepOutcome? outcome)
    {
        var ofEncoder = Encoder.Sparse.Count();
        Encoder.AfterStep([.. sparse.Take(ofEncoder)], outcome);
        Decoder.AfterStep([.. sparse.Skip(ofEncoder)], outcome);
    }
}
