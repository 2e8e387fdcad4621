using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>A layer of a block, x + f(RMS(x)∘w); its name is that of the checkpoint: <c>encoder.block.0.layer.1</c>.</summary>
/// <param name="number">Of the block in the streams of random numbers.</param>
abstract class T5Layer(T5Parts parts, Weights weights, int number)
{
    readonly Parameter _norm = parts.NormWeight(weights, "layer_norm");

    protected T5Parts Parts { get; } = parts;
    public string Name { get; } = weights.Path;

    /// <param name="x">Residual stream [B·S, D].</param>
    public (Tensor Output, SparseResult? Sparse) Forward(Tensor x, StackInputs inputs)
    {
        using var place = Parts.Tape.In(Name);
        return Add(x, Parts.Norm(x, _norm), inputs);
    }

    /// <summary>x and what the layer makes of its norm.</summary>
    protected abstract (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs);

    protected LayerStreams Streams(StackInputs inputs) => new(inputs.Pass.Streams, inputs.Pass.Step, number);
}
