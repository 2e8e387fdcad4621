using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>How a sparse block runs, besides what its dialect says.</summary>
/// <param name="Activation">Of the experts, where their dialect leaves it to the model.</param>
/// <param name="ExpertDropout">Dropout of the experts' hidden layer while training.</param>
public readonly record struct SparseOptions(Activation Activation, double ExpertDropout)
{
    /// <summary>Number format of tokens, scores and experts, where their dialect says nothing else.</summary>
    public NumberFormat Format { get; init; } = NumberFormat.Float32;
}

/// <summary>What a sparse block of a model is given besides the tokens.</summary>
/// <param name="Ids">Token ids [T].</param>
/// <param name="Tasks">Task of every token [T].</param>
/// <param name="Streams">Random numbers of this block in this step.</param>
/// <param name="Plan">The part of this shard of a plan that was made for the whole batch, or null.</param>
public readonly record struct BlockInputs(int[] Ids, int[] Tasks, int Sequences, bool Training, LayerStreams Streams, RoutingPlan? Plan = null)
{
    /// <summary>What the router of the sparse layer before handed on [T, R], or null.</summary>
    internal Tensor? RouterState { get; init; }

    /// <summary>1 for a token, 0 for padding [T]; null where all are tokens.</summary>
    internal float[]? TokenMask { get; init; }

    /// <summary>What takes the place of the router's stages; null where nothing does.</summary>
    internal Substitution? Instead { get; init; }

    /// <summary>The routes of the text that these tokens continue, or null where they stand alone.</summary>
    internal RoutesSoFar? Before { get; init; }
}

/// <summary>
/// The sparse feed-forward layer of a block, of whatever family: declares the parameters of its router and its experts, and keeps what the router carries
/// from step to step.
/// </summary>
sealed class SparseBlock
{
    const ulong TableSeed = 42;

    readonly Tape _tape;
    readonly LayerShape _shape;
    readonly SparseOptions _options;
    readonly string _name;
    readonly RouterWeights _router;
    readonly ExpertWeights _experts;
    readonly RouterState _state;
    readonly int[] _table;

    public SparseBlock(Tape tape, Weights weights, LayerShape shape, SparseOptions options)
    {
        (_tape, _shape, _options, _name) = (tape, shape, options, weights.Path);
        var experts = ExpertParameters.Declare(weights, shape);
        _router = RouterParameters.Declare(weights, shape);
        _experts = ExpertParameters.DeclareFurther(weights, shape, experts);
        _state = new(tape, weights, shape);
        _table = shape.Dialect.Selection is Selection.HashTable or Selection.PlaceTable ? Table(shape.Vocabulary, shape.Dialect.K, shape.Experts) : [];
    }

    SparseBlock(SparseBlock like, LayerShape shape, SparseOptions options, RouterWeights router, ExpertWeights experts)
    {
        (_tape, _name, _state, _table) = (like._tape, like._name, like._state, like._table);
        (_shape, _options, _router, _experts) = (shape, options, router, experts);
    }

    public Dialect Dialect => _shape.Dialect;
    public RouterWeights Router => _router;
    public ExpertWeights Experts => _experts;

    /// <summary>The same block with a rule or matrices that are not its own: what a checker tries.</summary>
    internal SparseBlock With(Dialect? dialect = null, RouterWeights? router = null, ExpertWeights? experts = null, Activation? activation = null) =>
        new(this, _shape with { Dialect = dialect ?? _shape.Dialect }, _options with { Activation = activation ?? _options.Activation },
            router ?? _router, experts ?? _experts);

    public SparseResult Forward(Tensor x, BlockInputs inputs)
    {
        var d = _state.Settled(_shape.Dialect);
        var batch = new FilledBatch(d, inputs.Sequences, x.Rows, _shape.Experts);
        x = batch.Fill(_tape, x);
        if (!ExpertParameters.HasOwnActivation(d)) d = d with { Activation = ExpertKinds.Of(_options.Activation) };
        var call = BlockCall.Of(_tape, x, new()
        {
            Dialect = d,
            Groups = 1,
            Size = x.Rows,
            Sequences = batch.Sequences,
            Experts = _shape.Experts,
            Training = inputs.Training,
            TokenMask = batch.TokenMask(inputs.TokenMask ?? []),
            TokenIds = batch.Fill(inputs.Ids),
            TaskIds = batch.Fill(inputs.Tasks),
            Table = _table,
            Where = _name,
            Plan = inputs.Plan,
            Format = _options.Format,
            ScoreFormat = _options.Format,
        }, inputs.Streams);
        var router = _state.Settled(_router) with { Previous = batch.FillOrNull(_tape, inputs.RouterState) };
        var experts = _experts.ReadIn(new(_tape, _options.Format));
        var instead = inputs.Instead ?? inputs.Before;
        var result = SparseLayer.Forward(_tape, call, x, router, experts, _options.ExpertDropout, inputs.Streams, instead);
        return batch.Cut(_tape, result) with { Ids = inputs.Ids, Tasks = inputs.Tasks };
    }

    /// <summary>Updates the state after a step, from what the router did.</summary>
    public void AfterStep(SparseResult result, StepOutcome? outcome) => _state.AfterStep(result, outcome, _name);

    /// <summary>The running mean of the rewards.</summary>
    public double Baseline => _state.Baseline;

    /// <summary>Random experts for every id or place, k different ones, from a fixed seed.</summary>
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
