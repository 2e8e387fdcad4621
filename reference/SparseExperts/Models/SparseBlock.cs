using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>What a sparse block of the language model is given besides the tokens.</summary>
/// <param name="Ids">Token ids [T].</param>
/// <param name="Tasks">Task of every token [T].</param>
/// <param name="Streams">Random numbers of this block in this step.</param>
/// <param name="Plan">The part of this shard of a plan that was made for the whole batch, or null.</param>
public readonly record struct BlockInputs(int[] Ids, int[] Tasks, int Sequences, bool Training, LayerStreams Streams, RoutingPlan? Plan = null)
{
    /// <summary>The routes of the text that these tokens continue, or null where they stand alone.</summary>
    internal RoutesSoFar? Before { get; init; }
}

/// <summary>
/// The sparse feed-forward layer of a block: makes the parameters that its dialect needs, calls the layer, and keeps the state that some
/// dialects carry from step to step (selection bias, adaptive coefficient, baseline).
/// </summary>
sealed class SparseBlock
{
    const double CosineStart = 0.6931471805599453;          // ln(1/0.5)
    const int CosineWidth = 64;
    const ulong TableSeed = 42;

    readonly Tape _tape;
    readonly ModelConfig _config;
    readonly string _name;
    readonly RouterWeights _router;
    readonly ExpertWeights _experts;
    readonly int[] _table;
    readonly Matrix? _state;

    /// <param name="make">Makes a trained matrix: name, rows, columns, start values.</param>
    public SparseBlock(Tape tape, ModelConfig config, Initialiser start, string name, Func<string, int, int, int, double, Parameter> weight, Func<string, int, int, float[], Parameter> make, Parameter wi, Parameter wo)
    {
        (_tape, _config, _name) = (tape, config, name);
        var d = config.Dialect;
        int width = config.Width, experts = config.Experts;
        Parameter Linear(string part, int outputs) => weight($"{name}.{part}", 1, width, outputs, 0.1);
        Parameter Values(string part, int rows, int columns, Func<string, int, float[]> values) => make($"{name}.{part}", rows, columns, values($"{name}.{part}", rows * columns));
        float[] Zeros(string _, int n) => new float[n];
        var isLinear = d.Router is RouterForm.Linear or RouterForm.LinearWithEmbedding && d.Selection is not (Selection.BinaryCode or Selection.TwoLevelCapacity);
        _router = new()
        {
            Weight = d.Router == RouterForm.LinearPerTask ? Linear("router", config.Tasks * experts) : isLinear ? Linear("router", experts) : null,
            Bias = d.RouterBias ? Values("router_bias", 1, experts, Zeros) : null,
            NoiseWeight = d.Noise == LogitNoise.NormalSoftplus && d.Selection != Selection.TwoLevel ? Values("router_noise", width, experts, Zeros) : null,
            PrimaryWeight = d.Router == RouterForm.TwoLevel || d.Selection == Selection.TwoLevelCapacity ? Linear("router_primary", d.Groups) : null,
            PrimaryNoiseWeight = d.Router == RouterForm.TwoLevel ? Values("router_primary_noise", width, d.Groups, Zeros) : null,
            SecondaryWeight = d.Router == RouterForm.TwoLevel || d.Selection == Selection.TwoLevelCapacity ? Linear("router_secondary", experts) : null,
            SecondaryNoiseWeight = d.Router == RouterForm.TwoLevel ? Values("router_secondary_noise", width, experts, Zeros) : null,
            Slots = d.Router == RouterForm.SlotSimilarity
                ? Values("router_slots", width, experts * SlotsPerExpert(), (n, c) => start.Normal(n, c, 1 / Math.Sqrt(width)))
                : null,
            Scale = d.Router == RouterForm.SlotSimilarity ? Values("router_scale", 1, 1, (_, _) => [1]) : null,
            Projection = d.Router == RouterForm.Cosine ? Linear("router_projection", Math.Min(CosineWidth, width)) : null,
            Embeddings = d.Router == RouterForm.Cosine ? Values("router_embeddings", Math.Min(CosineWidth, width), experts, (n, c) => start.Normal(n, c, 0.01)) : null,
            Temperature = d.Router == RouterForm.Cosine ? Values("router_temperature", 1, 1, (_, _) => [(float)CosineStart]) : null,
            Table = d.Router == RouterForm.LinearWithEmbedding ? Values("router_embedding", config.Vocabulary, experts, (n, c) => start.Normal(n, c, 0.02))
                : d.Router == RouterForm.TaskEmbedding ? Values("router_tasks", config.Tasks, experts, (n, c) => start.Normal(n, c, 0.1)) : null,
            Codes = d.Selection != Selection.BinaryCode ? null
                : d.Router == RouterForm.Constant ? Values("router_codes", 1, d.K * BinaryCodeRouter.Bits(experts), (n, c) => start.Normal(n, c, 0.01)) : Linear("router_codes", d.K * BinaryCodeRouter.Bits(experts)),
            CodeWeights = d.Selection != Selection.BinaryCode ? null
                : d.Router == RouterForm.Constant ? Values("router_code_weights", 1, d.K, (n, c) => start.Normal(n, c, 0.03)) : Linear("router_code_weights", d.K),
            Thresholds = d.Selection == Selection.Batchwise ? Values("router_thresholds", 1, experts, (_, n) => [.. Enumerable.Repeat((float)d.K / experts, n)]) : null,
        };
        _experts = new()
        {
            Wi = wi,
            Wo = wo,
            WiGate = NeedsGate(d) ? weight($"{name}.experts.wi_gate", experts - d.IdentityExperts, width, config.Hidden, 0.58) : null,
            SharedWi = d.SharedExpert ? weight($"{name}.shared.wi", 1, width, config.Hidden, 0.58) : null,
            SharedWiGate = d.SharedExpert && NeedsGate(d) ? weight($"{name}.shared.wi_gate", 1, width, config.Hidden, 0.58) : null,
            SharedWo = d.SharedExpert ? weight($"{name}.shared.wo", 1, config.Hidden, width, 0.58) : null,
            SharedGate = d.SharedGate ? Linear("shared.gate", 1) : null,
            PairWeight = d.Combination == Combination.LearnedPair ? Linear("pair", 2) : null,
            PairBias = d.Combination == Combination.LearnedPair ? Values("pair_bias", 1, 2, Zeros) : null,
        };
        _table = d.Selection == Selection.HashTable ? Table(config.Vocabulary, d.K, experts) : [];
        if (!HasState(d)) return;
        _state = tape.Backend.Rent(1, experts + 2);
        tape.Backend.Fill(_state.Value, 0);
        if (d.AdaptiveSparsity) tape.Backend.Write(_state.Value.ColumnRange(experts, 1), [(float)d.BalanceCoefficient]);
    }

    /// <summary>E biases, the adaptive coefficient, the baseline: what a checkpoint must hold besides parameters.</summary>
    public (string Name, Matrix Value)? State => _state is { } state ? ($"{_name}.router_state", state) : null;

    public static bool HasState(Dialect d) => d.CorrectionBias || d.AdaptiveSparsity || d.TrainingExtra == TrainingExtra.Reinforce;

    /// <summary>The clamped activations are defined for gated experts; all others use the model's own feed-forward layer.</summary>
    static bool NeedsGate(Dialect d) => d.Activation is ExpertActivation.SwigluClamped or ExpertActivation.SwigluLimited;

    public SparseResult Forward(Tensor x, BlockInputs inputs)
    {
        var d = _config.Dialect;
        var batch = new FilledBatch(d, inputs.Sequences, x.Rows, _config.Experts);
        x = batch.Fill(_tape, x);
        var groups = Grouping.Count(d, x.Rows, batch.Sequences, _config.Experts);
        if (d.AdaptiveSparsity) d = d with { BalanceCoefficient = ReadState()[_config.Experts] };
        if (!NeedsGate(d)) d = d with { Activation = ExpertKinds.Of(_config.Activation) };
        var call = new RouterCall
        {
            Dialect = d,
            Groups = groups,
            Size = x.Rows / groups,
            Experts = _config.Experts,
            Training = inputs.Training,
            Importance = batch.Importance,
            TokenIds = batch.Fill(inputs.Ids),
            TaskIds = batch.Fill(inputs.Tasks),
            Table = _table,
            Where = _name,
            SpansShards = _tape.Shards is not null && d.GroupSize == 0,
            Plan = inputs.Plan,
        };
        call = Fitting(call);
        call = call with { Draws = RouterDraws.From(call, inputs.Streams, x.Columns, _tape.FirstToken(x.Sequence)) };
        var router = d.CorrectionBias ? WithBias(call, inputs) : _router;
        return batch.Cut(_tape, SparseLayer.Forward(_tape, call, x, router, _experts, _config.ExpertDropout, inputs.Streams, inputs.Before));
    }

    /// <summary>The router with its bias where it is used: on the backend if that plans.</summary>
    RouterWeights WithBias(RouterCall call, BlockInputs inputs) => inputs.Before is null && BackendPlanning.RuleOf(_tape, call) is not null
        ? _router with { BiasOnBackend = _state!.Value.ColumnRange(0, _config.Experts) }
        : _router with { CorrectionBias = [.. ReadState().Take(_config.Experts).Select(b => (double)b)] };

    /// <summary>What the host's part of the router carries; empty where it carries nothing.</summary>
    float[] ReadState()
    {
        using var plan = _tape.During(Activity.Plan);
        return _state is { } state ? _tape.Backend.ToArray(state) : [];
    }

    /// <summary>Experts that choose cannot take more tokens than a short text has, and cannot share what does not divide.</summary>
    static RouterCall Fitting(RouterCall call)
    {
        if (call.Training || call.Dialect.Selection is not (Selection.ExpertChoice or Selection.OptimalTransport)) return call;
        var capacity = CapacityRule.Capacity(call, default);
        return capacity > call.Size ? call with { Dialect = call.Dialect with { CapacityFormula = CapacityFormula.Given, Capacity = call.Size, MinCapacity = 0, CapacityMultiple = 0 } } : call;
    }

    /// <summary>Updates the state after a step, from what the router did.</summary>
    public void AfterStep(SparseResult result, double reward)
    {
        if (_state is not { } matrix) return;
        var d = _config.Dialect;
        var experts = _config.Experts;
        using var place = _tape.In($"{_name}.router");
        using var plan = _tape.During(Activity.Plan);
        if (result.Handle.OnBackend is { } made && d is { CorrectionBias: true, BiasCentred: false, TrainingExtra: not TrainingExtra.Reinforce })
        {
            _tape.Backend.Routing!.MoveBias(made.Offsets, d.BiasRate, matrix.ColumnRange(0, experts));
            return;
        }
        var state = ReadState();
        if (d.Selection == Selection.Quantile && result.Inputs is { } inputs)
        {
            double[] logits = _tape.Gather(inputs.Numbers.Logits.Values);
            var call = new RouterCall { Dialect = d, Groups = 1, Size = logits.Length / experts, Experts = experts, Training = true, Where = _name };
            Quantile.Beta(call, logits, [.. state.Take(experts).Select(b => (double)b)]).Select(b => (float)b).ToArray().CopyTo(state, 0);
        }
        else if (d.CorrectionBias) CorrectionBias.Step(d, _tape.Total(CorrectionBias.Counts(result.Plan)), state.AsSpan(0, experts));
        if (d.AdaptiveSparsity)
        {
            // λ grows by 1.2 where fewer than 1 − k/E of the scores are 0, else it shrinks (ReMoE, eq. 8).
            var sparsity = 1 - (double)_tape.Total(result.Plan.Kept) / (_tape.Total(result.Plan.Tokens) * experts);
            state[experts] = (float)(sparsity < 1 - (double)d.K / experts ? state[experts] * 1.2 : state[experts] / 1.2);
        }
        if (d.TrainingExtra == TrainingExtra.Reinforce) state[experts + 1] = (float)(0.9 * state[experts + 1] + 0.1 * reward);
        _tape.Backend.Write(matrix, (ReadOnlySpan<float>)state);
    }

    /// <summary>The running mean of the rewards.</summary>
    public double Baseline => _state is null ? 0 : ReadState()[^1];

    int SlotsPerExpert() => SoftLayer.SlotsPerExpert(new() { Dialect = _config.Dialect, Groups = 1, Size = _config.Context, Experts = _config.Experts, Training = true });

    /// <summary>Random experts for every id, k different ones, from a fixed seed.</summary>
    static int[] Table(int ids, int k, int experts)
    {
        var table = new int[ids * k];
        var stream = new Streams(TableSeed).Named("hash table");
        for (var id = 0; id < ids; id++)
        {
            var draws = new double[experts];
            for (var e = 0; e < experts; e++) draws[e] = Philox.UniformDouble(stream, (ulong)(id * experts + e));
            Ranking.Top(draws, k, TieRule.Lowest).CopyTo(table, id * k);
        }
        return table;
    }
}
