namespace SparseExperts.Autograd;

/// <summary>
/// A matrix on a tape: its value, and, when something it depends on is trained, the gradient of the loss with respect to it.
/// </summary>
public class Tensor
{
    readonly Tape _tape;
    Matrix _gradient;
    Matrix? _value;

    internal Tensor(Tape tape, Matrix value, bool requiresGradient) : this(tape, value.Rows, value.Columns, requiresGradient) => _value = value;

    /// <summary>A tensor whose node fills it.</summary>
    internal Tensor(Tape tape, int rows, int columns, bool requiresGradient) =>
        (_tape, Rows, Columns, RequiresGradient) = (tape, rows, columns, requiresGradient);

    /// <exception cref="InvalidOperationException">Its memory was given up (<see cref="Segment"/>) and the backward pass has not come to it.</exception>
    public virtual Matrix Value => _value
        ?? throw new InvalidOperationException($"the {Rows}×{Columns} result of {Node?.Op} was given up, to be computed again; keep it in its segment");

    private protected Tape Tape => _tape;

    public bool RequiresGradient { get; }
    public int Rows { get; }
    public int Columns { get; }

    /// <summary>The op that computes it; null for parameters, inputs and constants.</summary>
    public Node? Node { get; internal set; }

    /// <summary>
    /// Rows of a sequence where rows are tokens (or groups of tokens), sequence by sequence; 0 where they are not. It decides in what order sums over
    /// rows are taken (<see cref="SumTree"/>).
    /// </summary>
    public int Sequence { get; internal init; }

    /// <summary>
    /// How many times the same tokens lie one below the other: layers that are pooled, else 1. Sums over rows are taken part by part and then added.
    /// </summary>
    public int Parts { get; internal init; } = 1;

    /// <summary>Whether any op has written a gradient here since the last reset.</summary>
    public bool HasGradient { get; private set; }

    /// <summary>∂loss/∂value; only after <c>Tape.Backward</c>.</summary>
    public Matrix Gradient => HasGradient
        ? _parts?.Total() ?? _gradient
        : throw new InvalidOperationException($"a {Value.Shape} tensor has no gradient yet; call Tape.Backward first");

    /// <summary>
    /// Where an op's backward writes. The first writer overwrites arbitrary memory, the others add: <paramref name="accumulate"/> says which.
    /// </summary>
    public Matrix GradientTarget(out bool accumulate)
    {
        if (_parts is not null)
        {
            (accumulate, HasGradient) = (false, true);
            return _parts.Next();
        }
        accumulate = HasGradient;
        if (!HasGradient) _gradient = RentGradient(_tape);
        else if (_owners is { Count: > 1 })
        {
            var own = RentGradient(_tape);
            _tape.Backend.Copy(_gradient, own);
            LeaveGradient();
            _gradient = own;
        }
        HasGradient = true;
        return _gradient;
    }

    /// <summary>
    /// Bounds of its gradient cover engines that compute in a narrow format, where everyone who reads it hands a rounded part in; nothing changes where no
    /// bounds are carried, and in float32.
    /// </summary>
    internal void AddsPartsIn(NumberFormat format)
    {
        var narrow = format is NumberFormat.BFloat16 or NumberFormat.Float16 && _tape.Backend is IErrorBounds { CarriesBounds: true };
        if (narrow && RequiresGradient && !HasGradient) _parts ??= new(_tape, format, Rows, Columns);
    }

    RoundedSum? _parts;

    /// <summary>Whether parts of its gradient are added one after the other.</summary>
    internal bool AddsParts => _parts is not null;

    /// <summary>Takes another tensor's gradient for its own first one, without a copy until one of them changes.</summary>
    internal void ShareGradient(Tensor with)
    {
        (_gradient, _owners, HasGradient) = (with._gradient, with._owners ??= new(), true);
        _owners.Count++;
    }

    /// <summary>Nobody asks for this tensor's gradient any more: who shares it may change it.</summary>
    internal void ForgetSharedGradient()
    {
        if (_owners is null) return;
        LeaveGradient();
        HasGradient = false;
    }

    void LeaveGradient()
    {
        _owners!.Count--;
        _owners = null;
    }

    /// <summary>How many tensors have a gradient in the same memory.</summary>
    sealed class Owners
    {
        public int Count { get; set; } = 1;
    }

    Owners? _owners;

    /// <summary>The gradient as a place to add to; zero before the first writer.</summary>
    public Matrix GradientSum()
    {
        var target = GradientTarget(out var accumulate);
        if (!accumulate) _tape.Backend.Fill(target, 0);
        return target;
    }

    private protected virtual Matrix RentGradient(Tape tape) => tape.RentWith(Node, Rows, Columns);

    /// <summary>Memory for the value, from the node's own.</summary>
    internal void Fill() => _value = _tape.Rent(Rows, Columns);

    /// <summary>The value's memory is gone.</summary>
    internal void Release() => _value = null;

    private protected void ForgetHasGradient() => HasGradient = false;
}

/// <summary>A trained matrix. It outlives the tape's resets, and so does the memory of its gradient: both lie in a <see cref="ParameterStore"/>.</summary>
public sealed class Parameter : Tensor
{
    readonly ParameterStore _store;

    internal Parameter(Tape tape, ParameterStore store, string name, (ElementType Type, long Start) place, int rows, int columns, int stack, int experts)
        : base(tape, rows, columns, place.Type == ElementType.Real) =>
        (_store, Name, Type, Place, Stack, Experts) = (store, name, place.Type, place.Start, stack, experts);

    public string Name { get; }

    /// <summary>How many equal matrices lie one below the other: E for expert weights, else 1.</summary>
    public int Stack { get; }

    /// <summary>Experts that have an equal part of its numbers each; 1 where every token meets all of them.</summary>
    public int Experts { get; }

    /// <summary>Recorded nodes that have it for input and have not contributed to its gradient yet.</summary>
    internal int Uses { get; set; }

    /// <summary>What its numbers are kept in.</summary>
    public ElementType Type { get; }

    /// <summary>Whether they are kept in two bytes; then it has no gradient.</summary>
    public bool IsNarrow => Type.IsNarrow();

    /// <summary>Its numbers as they are kept.</summary>
    public Matrix Stored => ParameterStore.View(this, _store.ValuesIn(Type));

    /// <summary>
    /// Its numbers; where they are kept in two bytes, a copy until the tape is reset, which ops of large weights do without (<see cref="Stored"/>).
    /// </summary>
    public override Matrix Value => IsNarrow ? Tape.Scratch<WidenedParameters>().Of(Tape, this) : Stored;

    /// <summary>Where it starts in every storage of its store.</summary>
    internal long Place { get; }

    internal void ForgetGradient()
    {
        ForgetHasGradient();
        Uses = 0;
    }

    private protected override Matrix RentGradient(Tape tape) => IsNarrow
        ? throw new InvalidOperationException($"parameter '{Name}' is kept in two bytes, to be read; open the model for training")
        : ParameterStore.View(this, _store.Gradients);
}
