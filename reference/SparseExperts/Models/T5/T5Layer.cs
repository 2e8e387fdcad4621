using SparseExperts.Autograd;
using SparseExperts.Layers;

namespace SparseExperts.Models;

/// <summary>A layer of a block, x + f(RMS(x)∘w).</summary>
/// <param name="Name">That of checkpoints: <c>encoder.block.0.layer.1</c>.</param>
/// <param name="Number">Of the block in the streams of random numbers.</param>
/// <param name="Norm">w [1, D].</param>
abstract record T5Layer(T5Parts Parts, string Name, int Number, Tensor Norm)
{
    /// <summary>What a checker sets, who looks for what somebody did instead.</summary>
    internal HalfSum Sum { get; init; }
    internal HalfNorm Before { get; init; }

    /// <param name="x">Residual stream [B·S, D].</param>
    public (Tensor Output, SparseResult? Sparse) Forward(Tensor x, StackInputs inputs)
    {
        using var place = Parts.Tape.Within(Name);
        var normed = Before.Read(Parts.Rounded, x, h => Parts.Norm(h, Norm));
        return Add(Sum.Under(Parts.Rounded, x, normed), normed, inputs);
    }

    /// <summary>The sum of x and what the layer makes of its norm.</summary>
    protected abstract (Tensor Output, SparseResult? Sparse) Add(Tensor x, Tensor normed, StackInputs inputs);

    protected LayerStreams Streams(StackInputs inputs) => new(inputs.Pass.Streams, inputs.Pass.Step, Number);
}
