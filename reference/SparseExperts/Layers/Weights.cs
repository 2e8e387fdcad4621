using SparseExperts.Autograd;

namespace SparseExperts.Layers;

/// <summary>A matrix that a model carries from step to step and that no gradient changes: what routers remember.</summary>
public sealed record StateMatrix(string Name, Matrix Value);

/// <summary>
/// A place in the tree of a model's matrices. A layer declares what it needs by name; where the numbers come from (<see cref="IWeightSource"/>), how
/// projections start, and which part of a matrix this shard holds, is decided where the tree begins. Paths are the names in checkpoints:
/// <c>weights.Sub("blocks").Sub(0).Matrix("router", …)</c> is <c>blocks.0.router</c>.
/// </summary>
public sealed class Weights
{
    readonly Tape _tape;
    readonly IWeightSource _source;
    readonly Func<int, double, Start> _projection;
    readonly Func<WeightPart, WeightPart>? _shard;
    readonly List<StateMatrix> _state;
    readonly int _experts;

    /// <param name="projection">How a projection starts, from its inputs and the gain that its layer asks for.</param>
    /// <param name="shard">The part of a matrix that is held here; null for all of it.</param>
    public Weights(Tape tape, IWeightSource source, Func<int, double, Start> projection, Func<WeightPart, WeightPart>? shard = null)
        : this(tape, source, projection, shard, [], "", 1)
    {
    }

    Weights(Tape tape, IWeightSource source, Func<int, double, Start> projection, Func<WeightPart, WeightPart>? shard, List<StateMatrix> state, string path,
        int experts) => (_tape, _source, _projection, _shard, _state, Path, _experts) = (tape, source, projection, shard, state, path, experts);

    /// <summary>Name of the place; empty at the root.</summary>
    public string Path { get; }

    /// <summary>What all places of the tree have declared as state, in order.</summary>
    public IReadOnlyList<StateMatrix> States => _state;

    public Weights Sub(string name) => new(_tape, _source, _projection, _shard, _state, Name(name), _experts);
    public Weights Sub(int index) => Sub(index.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>The same place for what so many experts have an equal part of each (<see cref="Parameter.Experts"/>), whatever its name is.</summary>
    public Weights OfExperts(int count) => new(_tape, _source, _projection, _shard, _state, Path, count);

    /// <summary>A trained matrix, or a stack of them [stack·rows, columns].</summary>
    public Parameter Matrix(string name, int rows, int columns, Start start, int stack = 1)
    {
        var part = Part(name, rows, columns, stack);
        return _tape.Parameters.Add(_tape, part.Name, part.Shape.Rows, part.Shape.Columns, part.Matrices.Count, _experts,
            to => _source.Fill(part, start, _tape.Backend, to), _tape.Parameters.KeepsStoredTypes ? _source.TypeOf(part) : ElementType.Real);
    }

    /// <summary>A trained matrix [in, out], or a stack of them, that starts as the model's projections do.</summary>
    /// <param name="gain">For scaled starts: σ = gain/√in.</param>
    public Parameter Projection(string name, int input, int output, double gain, int stack = 1) => Matrix(name, input, output, _projection(input, gain), stack);

    /// <summary>A matrix that is carried from step to step.</summary>
    public Matrix State(string name, int rows, int columns, double start = 0)
    {
        var part = new WeightPart(Name(name), 1, rows, columns);
        _source.Declare(part);
        var matrix = _tape.Keep(rows, columns);
        _source.Fill(part, Starts.Constant(start), _tape.Backend, matrix);
        _state.Add(new(part.Name, matrix));
        return matrix;
    }

    WeightPart Part(string name, int rows, int columns, int stack)
    {
        var whole = new WeightPart(Name(name), stack, rows, columns);
        var part = _shard is null ? whole : _shard(whole);
        part.Validate();
        _source.Declare(part);
        return part;
    }

    string Name(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
