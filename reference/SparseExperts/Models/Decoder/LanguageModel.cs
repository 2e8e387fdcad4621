using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>
/// Decoder-only Transformer, pre-norm: x ← x + Attention(norm(x)), x ← x + FFN(norm(x)), logits = norm(x)·Eᵀ with the embedding E.
/// Sparse blocks have a <see cref="SparseLayer"/> for FFN. No biases except in LayerNorm.
/// </summary>
public sealed class LanguageModel : ICausalModel
{
    const double Epsilon = 1e-5;

    readonly Tape _tape;
    readonly Parameter _embedding;
    readonly Block[] _blocks;
    readonly Parameter[] _finalNorm;
    readonly Parameter? _relativeBias;
    RotaryTables? _rotary;

    /// <summary>A model with start values.</summary>
    public LanguageModel(Tape tape, ModelConfig config, ulong seed) : this(tape, config, new StartValues(seed))
    {
    }

    /// <param name="source">Where its numbers come from.</param>
    /// <param name="shard">The part of every matrix that is held here; null for all of it.</param>
    public LanguageModel(Tape tape, ModelConfig config, IWeightSource source, Func<WeightPart, WeightPart>? shard = null)
    {
        config.Validate();
        (_tape, Config) = (tape, config);
        var weights = new Weights(tape, source, config.ProjectionStart, shard);
        _embedding = weights.Matrix("embedding", config.Vocabulary, config.Width, Starts.Normal(0.08));
        _blocks = [.. Enumerable.Range(0, config.Layers).Select(i => new Block(this, weights.Sub("blocks").Sub(i), i))];
        _finalNorm = Norm(weights.Sub("norm"));
        if (config.Positions == Positions.T5Relative)
            _relativeBias = weights.Matrix("relative_bias", RelativePositions.Buckets, config.Heads, Starts.Normal(1 / Math.Sqrt(config.Width)));
        State = weights.States;
    }

    public ModelConfig Config { get; }
    IModelConfig IModel.Config => Config;
    public IReadOnlyList<Parameter> Parameters => _tape.Parameters;

    public long ParameterCount => _tape.Parameters.Sum(p => (long)p.Rows * p.Columns);

    public long ActiveParameterCount => ActiveExperts.Parameters(_tape.Parameters, Config.ExpertsPerToken);

    public IReadOnlyList<StateMatrix> State { get; }

    public KeyValueCache? NewCache() =>
        KeyValueCache.Of(_tape.Backend, Config, Config.Context, _blocks.Select(b => b.Sparse is null ? null : b.Name));

    public ModelResult Forward(TokenBatch batch, Pass pass) =>
        Forward(batch.Ids, batch.Sequences, pass.Training, pass.Streams, pass.Step, batch.Tasks, cache: pass.Cache);

    /// <param name="ids">B·S bytes, sequence by sequence.</param>
    /// <param name="streams">Random numbers; every use has streams of its own.</param>
    /// <param name="step">Number of the training step, from 1.</param>
    /// <param name="tasks">Task of every sequence; empty means that all have task 0.</param>
    /// <param name="plans">For every sparse layer the part of this shard of a plan that was made for the whole batch; null where each makes its own.</param>
    /// <param name="cache">
    /// What was computed of the text that <paramref name="ids"/> continue, one sequence in evaluation; they are added to it. If the cache is shorter than the
    /// text afterwards, the ids changed what earlier ones get, and the logits are not those of the text.
    /// </param>
    public ModelResult Forward(ReadOnlySpan<int> ids, int sequences, bool training, Streams streams = default, long step = 0, ReadOnlySpan<int> tasks = default,
        IReadOnlyList<RoutingPlan>? plans = null, KeyValueCache? cache = null)
    {
        if (cache is not null && (training || sequences != 1)) throw new ArgumentException("a cache serves one sequence in evaluation", nameof(cache));
        int length = ids.Length / sequences, first = cache?.Length ?? 0;
        var taskOf = new int[ids.Length];
        for (var t = 0; t < taskOf.Length && tasks.Length > 0; t++) taskOf[t] = tasks[t / length];
        var idsOf = ids.ToArray();
        var x = Embed(ids, length);                                                    // [B·S, D]
        var bias = _relativeBias is null ? null : RelativePositions.Bias(_tape, _relativeBias, length, first + length, bidirectional: false);
        var sparse = new List<SparseResult>();
        for (var i = 0; i < _blocks.Length; i++)
        {
            var inputs = new BlockInputs(idsOf, taskOf, sequences, training, new(streams, step, i + 1), _blocks[i].Sparse is null ? null : plans?[sparse.Count])
            {
                Before = cache?.Routes(i),
                RouterState = sparse.LastOrDefault()?.RouterState,
            };
            using var place = _tape.Within(_blocks[i].Name);
            (x, var result) = _tape.InSegment(() => _blocks[i].Forward(x, inputs, length, Rotary(first, length), bias, cache),
                b => [b.Output, .. b.Sparse?.Kept ?? []]);
            if (result is not null) sparse.Add(result);
        }
        cache?.Advance(ids);
        var logits = Head(x);
        using var losses = _tape.Within("losses");
        return new(logits, LayerLosses.Join(_tape, Config, training, [sparse]), sparse);
    }

    Tensor Embed(ReadOnlySpan<int> ids, int length)
    {
        using var place = _tape.Within("embedding");
        return _tape.LookUp(_embedding, _tape.Upload(ids), length);
    }

    Tensor Head(Tensor x)
    {
        using var place = _tape.Within("logits");
        return _tape.Linear(Normalise(x, _finalNorm), _embedding, transpose: true);
    }

    public void AfterStep(IReadOnlyList<SparseResult> sparse, StepOutcome? outcome)
    {
        var next = 0;
        foreach (var block in _blocks)
            if (block.Sparse is { } layer) layer.AfterStep(sparse[next++], outcome);
    }

    public double Baseline => _blocks.Select(b => b.Sparse).FirstOrDefault(s => s is not null)?.Baseline ?? 0;

    /// <summary>The rows of so many positions.</summary>
    RotaryTables? Rotary(int first, int length)
    {
        if (Config.Positions != Positions.Rotary) return null;
        if (_rotary is not { } tables || tables.Positions < first + length)
            _rotary = tables = RotaryTables.Create(_tape, Math.Max(Config.Context, first + length), Config.HeadWidth);
        return tables.Range(first, length);
    }

    Tensor Normalise(Tensor x, Parameter[] norm) =>
        norm.Length == 2 ? _tape.LayerNorm(x, norm[0], norm[1], Epsilon) : _tape.RmsNorm(x, norm[0], Epsilon);

    Parameter[] Norm(Weights weights)
    {
        var scale = weights.Matrix("weight", 1, Config.Width, Starts.Ones);
        return Config.Normalisation == Normalisation.RmsNorm ? [scale] : [scale, weights.Matrix("bias", 1, Config.Width, Starts.Zeros)];
    }

    sealed class Block
    {
        const double Gain = 0.58;

        readonly LanguageModel _model;
        readonly int _index;
        readonly Parameter[] _norm1, _norm2;
        readonly Parameter _qkv, _out;

        /// <summary>The dense feed-forward layer; null in a sparse block.</summary>
        readonly Parameter? _wi, _wo;

        public SparseBlock? Sparse { get; }
        public string Name { get; }

        public Block(LanguageModel model, Weights weights, int index)
        {
            var config = model.Config;
            (_model, _index, Name) = (model, index, weights.Path);
            _norm1 = model.Norm(weights.Sub("norm1"));
            _qkv = weights.Sub("attention").Projection("qkv", config.Width, 3 * config.Width, Gain);
            _out = weights.Sub("attention").Projection("out", config.Width, config.Width, Gain);
            _norm2 = model.Norm(weights.Sub("norm2"));
            if (config.IsSparse(index))
            {
                var shape = config.LayerShape with { FollowsRouter = Enumerable.Range(0, index).Any(config.IsSparse) };
                Sparse = new(model._tape, weights, shape, new(config.Activation, config.ExpertDropout));
                return;
            }
            _wi = weights.Sub("ffn").Projection("wi", config.Width, config.Hidden, Gain);
            _wo = weights.Sub("ffn").Projection("wo", config.Hidden, config.Width, Gain);
        }

        public (Tensor Output, SparseResult? Sparse) Forward(Tensor x, BlockInputs inputs, int length,
            RotaryTables? rotary, Tensor? bias, KeyValueCache? cache) =>
            Feed(Attend(x, inputs, length, rotary, bias, cache), inputs);

        Tensor Attend(Tensor x, BlockInputs inputs, int length, RotaryTables? rotary, Tensor? bias, KeyValueCache? cache)
        {
            var (tape, config) = (_model._tape, _model.Config);
            var scale = config.Positions == Positions.T5Relative ? 1 : 1 / Math.Sqrt(config.HeadWidth);
            using var place = tape.Within("attention");
            var shape = AttentionShape.OfSelf(inputs.Sequences, length, config.Heads, config.HeadWidth, scale, causal: true);
            var qkv = tape.Linear(_model.Normalise(x, _norm1), _qkv);
            var mixed = cache is null ? tape.SelfAttention(shape, qkv, rotary, bias) : cache.Attend(tape, _index, shape, qkv, rotary, bias);
            return Residual(x, mixed, _out, inputs, RandomUse.AttentionDropout);
        }

        (Tensor Output, SparseResult? Sparse) Feed(Tensor x, BlockInputs inputs)
        {
            var (tape, config) = (_model._tape, _model.Config);
            if (Sparse is null)
            {
                using var place = tape.Within("ffn");
                var hidden = tape.Activate(config.Activation, tape.Linear(_model.Normalise(x, _norm2), _wi!));
                return (Residual(x, hidden, _wo!, inputs, RandomUse.FeedForwardDropout), null);
            }
            var result = Sparse.Forward(_model.Normalise(x, _norm2), inputs);
            return (tape.Add(x, Drop(result.Output, inputs, RandomUse.FeedForwardDropout)), result);
        }

        Tensor Residual(Tensor x, Tensor input, Parameter weight, BlockInputs inputs, RandomUse use) =>
            inputs.Training && _model.Config.Dropout > 0
                ? _model._tape.Add(x, Drop(_model._tape.Linear(input, weight), inputs, use))
                : _model._tape.LinearAdd(x, input, weight);

        Tensor Drop(Tensor x, BlockInputs inputs, RandomUse use) => inputs.Training ? _model._tape.Dropout(x, _model.Config.Dropout, inputs.Streams[use]) : x;
    }
}
