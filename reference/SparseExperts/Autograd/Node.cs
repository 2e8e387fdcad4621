namespace SparseExperts.Autograd;

/// <summary>
/// One op that a tape recorded: what it is called, where in the model it was asked for, from what it computes what, and how the gradient flows
/// back. Its forward may run again: everything that it reads is an input or a constant of its closure, and what it rents is the node's.
/// </summary>
public sealed class Node
{
    readonly Action<Node> _forward, _backward;
    readonly List<Matrix> _saved = [];
    readonly Tape _tape;

    internal Node(Tape tape, string op, ReadOnlySpan<Tensor?> inputs, Tensor output, Action<Node> forward, Action<Node> backward)
    {
        (_tape, Op, Path, Output, _forward, _backward) = (tape, op, tape.Site.Path, output, forward, backward);
        var count = 0;
        var given = new Tensor[inputs.Length];
        foreach (var input in inputs)
            if (input is not null) given[count++] = input;
        Inputs = count == given.Length ? given : given[..count];
    }

    /// <summary>Name of the op: its method in the folder Ops.</summary>
    public string Op { get; }

    /// <summary>Part of the model that asked: <c>blocks.1.experts</c>.</summary>
    public string Path { get; }

    /// <summary>The tensors that it computes from, a tensor as often as it is given.</summary>
    public IReadOnlyList<Tensor> Inputs { get; }

    /// <summary>What it computes.</summary>
    public Tensor Output { get; }

    /// <summary>What the forward kept for the backward besides inputs and output, in the order of <see cref="Save"/>.</summary>
    public IReadOnlyList<Matrix> Saved => _saved;

    /// <summary>Whether its products have the definition's bits, forward and backward, whatever the backend's precision.</summary>
    internal bool IsExact { get; init; }

    /// <summary>The run of nodes whose memory is given up and filled again with this one's; null where it stays until the tape's reset.</summary>
    internal Segment? Segment { get; init; }

    /// <summary>What a node of a segment rented; null where the tape holds it.</summary>
    internal Arena? Memory { get; set; }

    /// <summary>The first question to other micro-batches that its forward asked.</summary>
    internal int FirstQuestion { get; set; }

    internal Matrix Value => Output.Value;
    internal Matrix Gradient => Output.Gradient;

    /// <summary>Memory that the backward finds in <see cref="Saved"/>.</summary>
    internal Matrix Save(int rows, int columns)
    {
        var matrix = _tape.Rent(rows, columns);
        _saved.Add(matrix);
        return matrix;
    }

    internal void Forward()
    {
        _saved.Clear();
        _forward(this);
    }

    internal void Backward() => _backward(this);
}
