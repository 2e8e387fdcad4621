using SparseExperts.Sharding;

namespace SparseExperts.Autograd;

/// <summary>
/// Remembers what was computed, node by node, so that gradients can be found by going back. One training step: run the model,
/// <c>Backward</c>, update, <see cref="Reset"/>. All memory that ops rent here returns to the backend's pool on reset, and all that is kept from step to
/// step (parameters, their gradients and moments, state, constants) when the tape is disposed of.
/// </summary>
/// <param name="shards">The other shards of the batch; null where this tape has the whole of it.</param>
public sealed partial class Tape(IBackend backend, IShards? shards = null) : IDisposable
{
    readonly List<Node> _nodes = [];
    readonly Arena _step = new(backend), _kept = new(backend);
    Arena? _ofNode;
    Segment? _segment;
    int _exactly;

    public IBackend Backend { get; } = backend;

    /// <summary>Who calls the backend now; the backend's own where it wants to know.</summary>
    public CallSite Site { get; } = (backend as IKnowsCaller)?.Site ?? new();

    /// <summary>Matrices and indices that are the same in every step.</summary>
    internal Constants Constants { get; } = new(backend);

    /// <summary>What was recorded since the last backward pass, in order.</summary>
    public IReadOnlyList<Node> Nodes => _nodes;

    /// <summary>False while evaluating: nothing is remembered, no gradient is possible.</summary>
    public bool Recording { get; set; } = true;

    /// <summary>Whether <see cref="InSegment"/> gives up activations and computes them again; it saves memory and changes no bit.</summary>
    public bool Recomputes { get; set; }

    /// <summary>A value that is not trained.</summary>
    public Tensor Constant(Matrix value) => new(this, value, false);

    /// <summary>A value that is not trained, from host numbers.</summary>
    public Tensor Constant(int rows, int columns, ReadOnlySpan<float> values)
    {
        var value = Rent(rows, columns);
        Backend.Write(value, values);
        return Constant(value);
    }

    /// <summary>A tensor that is asked for its gradient but is not a parameter: the inputs of a gradient check.</summary>
    /// <param name="sequence">Rows of a sequence, where rows are tokens.</param>
    public Tensor Input(Matrix value, int sequence = 0) => new(this, value, true) { Sequence = sequence };

    /// <summary>
    /// Runs an op and remembers it. Its result [rows, columns] requires a gradient if any of the inputs does, and its rows are tokens if an input of as
    /// many rows has tokens.
    /// </summary>
    /// <param name="op">The op's name.</param>
    /// <param name="inputs">All tensors that <paramref name="forward"/> reads; null for those that are left out.</param>
    /// <param name="forward">Computes the node's value; may run again, with the same inputs.</param>
    /// <param name="backward">Adds to the gradients of the inputs, from the node's. It does not run if no gradient reached the node.</param>
    internal Tensor Apply(string op, int rows, int columns, ReadOnlySpan<Tensor?> inputs, Action<Node> forward, Action<Node> backward)
    {
        var (sequence, parts) = (0, 1);
        foreach (var input in inputs)
            if (sequence == 0 && input is not null && input.Rows == rows) (sequence, parts) = (input.Sequence, input.Parts);
        return Apply(op, rows, columns, (sequence, parts), inputs, forward, backward);
    }

    /// <summary>The same for an op that says what its rows are.</summary>
    /// <param name="tokens">Rows of a sequence, 0 where rows are no tokens; and how often the same tokens lie one below the other.</param>
    internal Tensor Apply(string op, int rows, int columns, (int Sequence, int Parts) tokens, ReadOnlySpan<Tensor?> inputs,
        Action<Node> forward, Action<Node> backward)
    {
        var requires = false;
        foreach (var input in inputs) requires |= input is { RequiresGradient: true };
        var output = new Tensor(this, rows, columns, requires && Recording) { Sequence = tokens.Sequence, Parts = tokens.Parts };
        var memory = _segment is null ? null : new Arena(Backend);
        var node = new Node(this, op, inputs, output, forward, backward) { IsExact = _exactly > 0, Segment = _segment, Memory = memory };
        output.Node = node;
        if (Recording)
        {
            _nodes.Add(node);
            if (output.RequiresGradient) Use(node);
        }
        _segment?.Add(node);
        Compute(node, Activity.Forward);
        return output;
    }

    void Compute(Node node, Activity activity)
    {
        using var site = Site.At(node, activity);
        using var exact = node.IsExact ? Backend.Exactly() : null;
        // What a node asked its micro-batch's others the first time, it asks again.
        var next = Micro?.Next ?? 0;
        if (activity != Activity.Recompute) node.FirstQuestion = next;
        else if (Micro is { } again) again.Next = node.FirstQuestion;
        _ofNode = node.Memory;
        node.Output.Fill();
        node.Forward();
        _ofNode = null;
        if (activity == Activity.Recompute && Micro is { } asked) asked.Next = next;
    }

    /// <summary>
    /// Runs a part of the model as a <see cref="Segment"/>, if this tape <see cref="Recomputes"/>: from then on only what <paramref name="kept"/> names of its
    /// result can be read, until the backward pass. An evaluation, after which none comes, only saves the memory.
    /// </summary>
    public T InSegment<T>(Func<T> part, Func<T, IEnumerable<Tensor?>> kept)
    {
        if (!Recomputes) return part();
        if (_segment is not null) throw new InvalidOperationException("a segment within a segment; let one part of the model end before the next begins");
        var segment = _segment = new();
        var result = part();
        _segment = null;
        segment.Release(kept(result).OfType<Tensor>().ToHashSet(), _step);
        return result;
    }

    /// <summary>What is asked of the backend until disposal belongs to that part of the model.</summary>
    internal CallSite.Scope Within(string part) => Site.Into(part);

    /// <summary>What is asked of the backend until disposal is for <paramref name="activity"/>.</summary>
    internal CallSite.Scope During(Activity activity) => Site.During(activity);

    /// <summary>Memory until the next reset; of an op in a segment, until its activations are given up.</summary>
    public Matrix Rent(int rows, int columns) => (_ofNode ?? _step).Rent(rows, columns);

    /// <summary>Memory until the tape is disposed of: what is carried from step to step.</summary>
    internal Matrix Keep(int rows, int columns) => _kept.Rent(rows, columns);

    /// <summary>Memory that lives as long as what <paramref name="node"/> computes.</summary>
    internal Matrix RentWith(Node? node, int rows, int columns) => (node?.Memory ?? _step).Rent(rows, columns);

    /// <summary>
    /// Until the scope is disposed of, products that are recorded have the definition's bits, forward and backward (<see cref="IBackend.Exactly"/>).
    /// </summary>
    internal IDisposable Exactly()
    {
        _exactly++;
        return new ExactScope(this);
    }

    sealed class ExactScope(Tape tape) : IDisposable
    {
        public void Dispose() => tape._exactly--;
    }

    /// <summary>Integers of arbitrary contents until the next reset.</summary>
    internal Storage RentIntegers(long count) => _step.RentIntegers(count);

    /// <summary>Zeros until the next reset.</summary>
    internal Matrix Zeros(int rows, int columns)
    {
        var zeros = Rent(rows, columns);
        Backend.Fill(zeros, 0);
        return zeros;
    }

    /// <summary>Integers until the next reset.</summary>
    public Indices Upload(ReadOnlySpan<int> values) => _step.Upload(values);

    /// <summary>∂loss/∂everything, for a loss of one element.</summary>
    public void Backward(Tensor loss)
    {
        if (loss.Value.Count != 1) throw new ShapeException($"Backward: the loss is {loss.Value.Shape}; reduce it to 1×1 first");
        Backend.Fill(loss.GradientTarget(out _), 1);
        Flow();
    }

    /// <summary>Backward from given cotangents: gradients of Σ⟨cotangent, output⟩.</summary>
    public void Backward(params ReadOnlySpan<(Tensor Output, Matrix Cotangent)> seeds)
    {
        foreach (var (output, cotangent) in seeds) Pass(cotangent, output);
        Flow();
    }

    /// <summary>
    /// Whether gradients of what ops compute may share memory where one goes through unchanged; those of inputs and parameters stay their own. Afterwards
    /// nobody can read the shared ones, whose numbers others may have changed.
    /// </summary>
    public bool SharesGradients { get; set; }

    /// <summary>The gradient of <paramref name="from"/> goes through unchanged.</summary>
    internal void Pass(Tensor from, Tensor to)
    {
        if (SharesGradients && !to.HasGradient && !to.AddsParts && to.Node is { Memory: null } && from.Node is { Memory: null }) to.ShareGradient(from);
        else Pass(from.Gradient, to);
    }

    /// <summary>A gradient goes through unchanged.</summary>
    internal void Pass(Matrix gradient, Tensor to)
    {
        var target = to.GradientTarget(out var add);
        if (add) Backend.Add(gradient, target, target);
        else Backend.Copy(gradient, target);
    }

    void Flow()
    {
        for (var i = _nodes.Count - 1; i >= 0; i--)
        {
            var node = _nodes[i];
            if (node.Segment is { IsFilled: false } segment) segment.Fill(n => Compute(n, Activity.Recompute));
            if (node.Output.HasGradient)
            {
                using var site = Site.At(node, Activity.Backward);
                using var exact = node.IsExact ? Backend.Exactly() : null;
                _ofNode = node.Memory;
                node.Backward();
                _ofNode = null;
                node.Output.ForgetSharedGradient();
            }
            if (node.Output.RequiresGradient) Done(node);
            node.Memory?.Reset();
        }
        _nodes.Clear();
    }

    /// <summary>Forgets the step: gradients become unset, rented memory returns to the pool.</summary>
    /// <param name="keepGradients">Those of parameters stay, for the next micro-batch to add to.</param>
    public void Reset(bool keepGradients = false)
    {
        foreach (var node in _nodes) node.Memory?.Reset();
        _segment?.Discard();
        _nodes.Clear();
        (_ofNode, _segment) = (null, null);
        if (!keepGradients)
            foreach (var parameter in Parameters) parameter.ForgetGradient();
        _step.Reset();
        EndStep();
    }

    /// <summary>Gives everything back to the backend's pool. Nothing of this tape may be read afterwards.</summary>
    public void Dispose()
    {
        Reset();
        Parameters.Dispose();
        Constants.Dispose();
        _kept.Reset();
    }
}
