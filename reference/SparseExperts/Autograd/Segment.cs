namespace SparseExperts.Autograd;

/// <summary>
/// A run of nodes whose activations are given up when the run ends, and computed again when the backward pass comes to it (Chen et al. 2016,
/// "Training Deep Nets with Sublinear Memory Cost", section 4). The nodes stay: gradients are added in the same order, masks come from the same
/// streams, and what the host planned is not planned again, so that no bit differs.
/// </summary>
sealed class Segment
{
    readonly List<Node> _nodes = [];

    /// <summary>Whether the nodes hold their activations.</summary>
    public bool IsFilled { get; private set; } = true;

    public void Add(Node node) => _nodes.Add(node);

    /// <summary>Gives up all but the tensors of <paramref name="kept"/>, whose memory <paramref name="arena"/> takes over.</summary>
    public void Release(IReadOnlySet<Tensor> kept, Arena arena)
    {
        foreach (var node in _nodes)
        {
            if (kept.Contains(node.Output))
            {
                arena.TakeOver(node.Memory!);
                node.Memory = null;
            }
            else
            {
                node.Memory!.Reset();
                node.Output.Release();
            }
        }
        _nodes.RemoveAll(node => node.Memory is null);
        IsFilled = false;
    }

    /// <summary>Gives up everything, where the run broke off.</summary>
    public void Discard()
    {
        foreach (var node in _nodes) node.Memory!.Reset();
    }

    /// <summary>Computes what was given up, in the order of the first time.</summary>
    public void Fill(Action<Node> compute)
    {
        IsFilled = true;
        foreach (var node in _nodes) compute(node);
    }
}
