using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models;

/// <summary>What all layers of a model share.</summary>
/// <param name="Format">Number format of every result: the configuration's in training, a checkpoint's own where it is checked.</param>
/// <param name="IsEager">Whether attention is rounded step by step, as eager code does, or once.</param>
sealed record T5Parts(Tape Tape, T5Config Config, NumberFormat Format, bool IsEager)
{
    public InFormat Rounded => Tape.In(Format);

    /// <summary>RMS(x)∘w with weights of its own, without mean and bias.</summary>
    public Tensor Norm(Tensor x, Tensor weight) => Rounded.Norm(x, weight, Config.NormEpsilon);

    public Tensor Attention(AttentionShape shape, Tensor q, Tensor k, Tensor v, Tensor? bias, Matrix? pad) =>
        IsEager ? Rounded.Attention(shape, q, k, v, bias, pad) : Rounded.Round(Tape.Attention(shape, q, k, v, bias, pad));

    public Parameter NormWeight(Weights weights, string name) => weights.Matrix(name, 1, Config.Width, Starts.Ones);

    /// <summary>A projection [in, out] that starts as the model's do, times <paramref name="factor"/>.</summary>
    public Parameter Projection(Weights weights, string name, int input, int output, double factor = 1) =>
        weights.Matrix(name, input, output, Starts.TruncatedNormal(Config.InitialScale * factor * factor, input));

    /// <summary>x + dropout(hidden·W).</summary>
    public Tensor Residual(Tensor x, Tensor hidden, Tensor weight, StackInputs inputs, RandomStream stream) =>
        Format == NumberFormat.Float32 && !(inputs.Pass.Training && Config.Dropout > 0)
            ? Tape.LinearAdd(x, hidden, weight)
            : Rounded.Add(x, Drop(Rounded.Linear(hidden, weight), inputs, stream));

    public Tensor Drop(Tensor x, StackInputs inputs, RandomStream stream) => inputs.Pass.Training ? Rounded.Drop(x, Config.Dropout, stream) : x;
}

/// <summary>What a stack's layers are given besides the residual stream [B·S, D].</summary>
sealed record StackInputs
{
    public required int[] Ids { get; init; }

    /// <summary>Task of every token [B·S].</summary>
    public required int[] Tasks { get; init; }
    public required int Sequences { get; init; }
    public required Pass Pass { get; init; }

    /// <summary>1 for a token, 0 for padding [B·S]; null where all are tokens.</summary>
    public float[]? TokenMask { get; init; }

    /// <summary>Added to the scores of self-attention: of positions [H·S, K], of padding [B, S].</summary>
    public Tensor? Bias { get; init; }
    public Matrix? Pad { get; init; }

    /// <summary>What a decoder's cross-attention looks at.</summary>
    public Encoded? Memory { get; init; }

    /// <summary>What was computed of the texts that these tokens, one of each, continue; null where the texts are whole.</summary>
    public T5Cache? Cache { get; init; }

    /// <summary>What the router of the sparse layer before handed on [B·S, R], or null.</summary>
    public Tensor? RouterState { get; init; }

    /// <summary>What takes the place of the router's stages in a sparse layer; null where nothing does.</summary>
    public Substitution? Router { get; init; }

    public int Length => Ids.Length / Sequences;
}

/// <summary>What an encoder made.</summary>
/// <param name="Output">[B·S, D].</param>
/// <param name="Length">S.</param>
/// <param name="Pad">Added to the scores of whoever looks at it [B, S]; null where nothing is padding.</param>
sealed record Encoded(Tensor Output, int Length, Matrix? Pad, IReadOnlyList<SparseResult> Sparse);
