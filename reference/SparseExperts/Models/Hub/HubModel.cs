using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>
/// A decoder model of the hub: embedding, layers, norm, head. Paths of its matrices are the checkpoints' names without <c>model.</c> and <c>.weight</c>;
/// projections are [in, out].
/// </summary>
public sealed class HubModel : ICausalModel
{
    /// <param name="source">Where its numbers come from.</param>
    /// <param name="shard">The part of every matrix that is held here; null for all of it.</param>
    public HubModel(Tape tape, HubModelConfig config, IWeightSource source, Func<WeightPart, WeightPart>? shard = null)
        : this(tape, Checked(config), config.Format, source, shard) => Config = config;

    /// <param name="format">What every op's result is rounded to.</param>
    public HubModel(Tape tape, HubDecoder form, NumberFormat format, IWeightSource source, Func<WeightPart, WeightPart>? shard = null)
    {
        (Tape, Form, Format, Rounding) = (tape, form, format, LayerForm.RoundingOf(form));
        Config = new() { Format = format };
        var weights = new Weights(tape, source, (input, gain) => Starts.Normal(gain * 0.5 / Math.Sqrt(input)), shard);
        Embedding = weights.Matrix("embed_tokens", form.Vocabulary, form.Width, Starts.Normal(0.02));
        Layers = [.. LayerForm.Of(form).Select((layer, i) => DecoderLayer.Declare(tape, weights.Sub("layers").Sub(i), i, layer, form.Width, format))];
        Norm = weights.Matrix("norm", 1, form.Width, Starts.Ones);
        Head = form.Tied ? null : weights.Projection("lm_head", form.Width, form.Vocabulary, 1);
        State = weights.States;
    }

    static HubDecoder Checked(HubModelConfig config)
    {
        config.Validate();
        return config.Hub;
    }

    public Tape Tape { get; }
    public HubModelConfig Config { get; }
    IModelConfig IModel.Config => Config;
    public HubDecoder Form { get; }
    public NumberFormat Format { get; }
    NormRounding Rounding { get; }
    public Parameter Embedding { get; }
    public IReadOnlyList<DecoderLayer> Layers { get; }
    public Parameter Norm { get; }

    /// <summary>[M, V]; null where the head is the embedding.</summary>
    public Parameter? Head { get; }
    public IReadOnlyList<Parameter> Parameters => Tape.Parameters;
    public IReadOnlyList<StateMatrix> State { get; }
    public long ParameterCount => Tape.Parameters.Sum(p => (long)p.Rows * p.Columns);

    public long ActiveParameterCount => ActiveExperts.Parameters(Tape.Parameters, ActiveExperts.PerToken(Form.Dialect, Form.Experts));

    public double Baseline => 0;

    /// <summary>Null also where a longer text turns its first positions otherwise.</summary>
    public KeyValueCache? NewCache() => Layers.Any(l => l.Form.Attention.Rotary?.Scaling == RotaryScaling.Dynamic) ? null
        : KeyValueCache.Of(Tape.Backend, Config, Config.Context, Layers.Select(l => l.Weights.Experts?.Where));

    public ModelResult Forward(TokenBatch batch, Pass pass)
    {
        if (pass.Cache is { } cache && (pass.Training || batch.Sequences != 1))
            throw new ArgumentException("a cache serves one sequence in evaluation", nameof(pass));
        var inputs = new HubInputs(batch.Ids, batch.Sequences) { Cache = pass.Cache, Streams = new(pass.Streams, pass.Step, 0) };
        if (pass.Training) inputs = inputs with { Dropout = Config.Dropout, ExpertDropout = Config.ExpertDropout };
        var result = Forward(inputs, pass.Training, pass.Cache is { } kept ? kept.Routes : null);
        pass.Cache?.Advance(batch.Ids);
        return result;
    }

    /// <summary>Logits [T, V] of a padded batch, and the balance loss where the model's rule has one.</summary>
    /// <param name="instead">What takes the place of stages of a layer's router; null where nothing does.</param>
    public ModelResult Forward(HubInputs inputs, bool training, Func<int, Substitution?>? instead = null)
    {
        var x = Embed(inputs);
        var sparse = new List<SparseResult>();
        for (var i = 0; i < Layers.Count; i++)
        {
            var (layer, own, given) = (Layers[i], instead?.Invoke(i), inputs with { Streams = inputs.Streams with { Layer = i } });
            using var place = Tape.Within(layer.Name);
            var into = x;
            (x, var result) = Tape.InSegment(() => layer.Feed(layer.Attend(into, given), given, training, own), h => [h.Output, .. h.Sparse?.Kept ?? []]);
            if (result is not null) sparse.Add(result);
        }
        var logits = Logits(Normed(x));
        using var losses = Tape.Within("losses");
        var balance = LayerLosses.Join(Tape, Form.Dialect, Form.Experts, training, inputs.TokenMask, sparse);
        return new(logits, balance, sparse);
    }

    InFormat Rounded => Tape.In(Format);

    /// <summary>Rows of the embedding times the family's factor [T, M].</summary>
    public Tensor Embed(HubInputs inputs)
    {
        using var place = Tape.Within("embed_tokens");
        return Scaled(Looked(inputs));
    }

    /// <summary>Rows of the embedding. That of the padding token has no gradient here (PyTorch's padding_idx), though it may have one as the head.</summary>
    internal Tensor Looked(HubInputs inputs)
    {
        if (Form.PadToken is not { } pad || !inputs.Ids.Contains(pad)) return Tape.LookUp(Embedding, Tape.Upload(inputs.Ids), inputs.Length);
        var padding = Tape.Rent(inputs.Ids.Length, Form.Width);
        Tape.Backend.GatherRows(Embedding.Value, Tape.Upload([.. inputs.Ids.Select(id => id == pad ? id : -1)]), padding, false);
        return Tape.Add(Tape.LookUp(Embedding, Tape.Upload([.. inputs.Ids.Select(id => id == pad ? -1 : id)]), inputs.Length), Tape.Constant(padding));
    }

    internal Tensor Scaled(Tensor x) =>
        Form.EmbeddingMultiplier == 1 ? x : Rounded.Scale(x, SparseExperts.Rounding.To(Format, Form.EmbeddingMultiplier));

    /// <summary>The final norm.</summary>
    public Tensor Normed(Tensor x)
    {
        using var place = Tape.Within("norm");
        return Normed(x, Norm, Form.NormEpsilon);
    }

    internal Tensor Normed(Tensor x, Tensor weight, double epsilon) => Rounded.Norm(x, weight, epsilon, Rounding);

    /// <summary>The head, with what its family does to the logits.</summary>
    public Tensor Logits(Tensor x)
    {
        using var place = Tape.Within("lm_head");
        return Capped(Divided(Products(x)));
    }

    internal Tensor Products(Tensor x) => Rounded.Round(Head is { } head ? Tape.Linear(x, head) : Tape.Linear(x, Embedding, transpose: true));
    internal Tensor Divided(Tensor logits) => Form.LogitsDivisor == 1 ? logits : Rounded.Scale(logits, 1 / Form.LogitsDivisor);
    internal Tensor Capped(Tensor logits) => Form.LogitsSoftcap > 0 ? Rounded.Softcap(logits, Form.LogitsSoftcap) : logits;

    public void AfterStep(IReadOnlyList<SparseResult> sparse, StepOutcome? outcome)
    {
        var next = 0;
        foreach (var layer in Layers)
            if (layer.Weights.Experts is { } experts) experts.AfterStep(sparse[next++], outcome);
    }
}
