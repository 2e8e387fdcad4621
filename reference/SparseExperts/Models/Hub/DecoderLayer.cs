using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>The dense feed-forward layer's matrices.</summary>
public sealed record DenseWeights(Projected Gate, Projected Up, Projected Down);

/// <summary>Norms and the factor that only Gemma's layers have, each norm [1, M].</summary>
/// <param name="Scalar">What multiplies the layer's output, 1×1.</param>
public sealed record GemmaWeights(Tensor AfterAttention, Tensor AfterBoth, Tensor? AfterDense, Tensor? AfterExperts, Tensor? BeforeExperts, Matrix Scalar);

/// <summary>What one layer trains.</summary>
public sealed record LayerWeights
{
    public required Tensor AttentionNorm { get; init; }
    public required AttentionWeights Attention { get; init; }
    public required Tensor FeedForwardNorm { get; init; }
    public DenseWeights? Dense { get; init; }
    public HubExperts? Experts { get; init; }
    public GemmaWeights? Gemma { get; init; }
}

/// <summary>
/// A decoder layer in two halves, each with its norm and its residual sum: x + f·attention(norm(x)), x + f·feed-forward(norm(x)), f the residual factor.
/// </summary>
/// <param name="Name">Its path in checkpoints: <c>layers.0</c>.</param>
/// <param name="Number">Its place among the model's layers.</param>
/// <param name="Format">What every op's result is rounded to.</param>
public sealed record DecoderLayer(Tape Tape, string Name, int Number, LayerForm Form, LayerWeights Weights, NumberFormat Format)
{
    /// <summary>What each half's output joins: its input, but where a checker looks for what somebody did instead; so are the next two.</summary>
    internal HalfSum Sum { get; init; }
    internal HalfNorm Before { get; init; }

    /// <summary>The router reads the stream where it should read its norm; in Gemma's layers the experts' norm where it should read the stream.</summary>
    internal bool RouterReadsOther { get; init; }

    internal static DecoderLayer Declare(Tape tape, Weights weights, int number, LayerForm form, int width, NumberFormat format)
    {
        Tensor Norm(string name) => weights.Matrix(name, 1, width, Starts.Ones);
        var (hidden, mlp) = (form.DenseHidden, weights.Sub("mlp"));
        Projected Dense(string name, int input, int output) => Projected.Declare(mlp, name, input, output, false);
        var both = form is { DenseHidden: > 0, Sparse: not null };
        return new(tape, weights.Path, number, form, new()
        {
            AttentionNorm = Norm("input_layernorm"),
            Attention = AttentionWeights.Declare(weights.Sub("self_attn"), form.Attention, width),
            FeedForwardNorm = Norm(form.Gemma ? "pre_feedforward_layernorm" : "post_attention_layernorm"),
            Dense = hidden == 0 ? null : new(Dense("gate_proj", width, hidden), Dense("up_proj", width, hidden), Dense("down_proj", hidden, width)),
            Experts = form.Sparse is { } sparse ? new HubExperts(tape, mlp, sparse, width) : null,
            Gemma = !form.Gemma ? null : new(
                Norm("post_attention_layernorm"),
                Norm("post_feedforward_layernorm"),
                both ? Norm("post_feedforward_layernorm_1") : null,
                both ? Norm("post_feedforward_layernorm_2") : null,
                both ? Norm("pre_feedforward_layernorm_2") : null,
                weights.State("layer_scalar", 1, 1, 1)),
        }, format);
    }

    InFormat Rounded => Tape.In(Format);

    Tensor Normed(Tensor x, Tensor weight) => Rounded.Norm(x, weight, Form.NormEpsilon, Form.NormRounding);

    Tensor First(Tensor x, Tensor weight) => Before.Read(Rounded, x, h => Normed(h, weight));

    /// <summary>The first half.</summary>
    /// <param name="x">The residual stream [T, M].</param>
    public Tensor Attend(Tensor x, HubInputs inputs)
    {
        using var place = Tape.Within("self_attn");
        var normed = First(x, Weights.AttentionNorm);
        var y = HubAttention.Forward(Tape, Form.Attention, Weights.Attention, normed, inputs, Format, Form.NormEpsilon, Form.NormRounding, Number);
        y = Weights.Gemma is { } gemma ? Normed(y, gemma.AfterAttention) : y;
        return Joined(x, normed, Rounded.Drop(y, inputs.Dropout, inputs.Streams[RandomUse.AttentionDropout]));
    }

    /// <summary>The second half, and what its router did.</summary>
    /// <param name="instead">What takes the place of stages of the router.</param>
    public (Tensor Output, SparseResult? Sparse) Feed(Tensor x, HubInputs inputs, bool training = false, Substitution? instead = null)
    {
        using var place = Tape.Within("mlp");
        var normed = First(x, Weights.FeedForwardNorm);
        if (Weights.Gemma is { } gemma) return Gemma(x, normed, gemma, inputs, training, instead);
        if (Weights.Experts is not { } experts) return (Joined(x, normed, Dropped(Dense(normed), inputs)), null);
        var result = experts.Forward(RouterReadsOther ? x : normed, RouterReadsOther ? normed : null, inputs, Format, training, instead);
        return (Joined(x, normed, Dropped(result.Output, inputs)), result);
    }

    Tensor Dense(Tensor x)
    {
        var dense = Weights.Dense!;
        return Rounded.Project(Rounded.Gated(Form.Activation, Rounded.Project(x, dense.Gate), Rounded.Project(x, dense.Up)), dense.Down);
    }

    /// <summary>A dense and a routed branch, each with norms of its own; the router reads the residual stream.</summary>
    (Tensor Output, SparseResult? Sparse) Gemma(Tensor x, Tensor normed, GemmaWeights gemma, HubInputs inputs, bool training, Substitution? instead)
    {
        var y = Dense(normed);
        SparseResult? result = null;
        if (Weights.Experts is { } experts)
        {
            var own = Normed(x, gemma.BeforeExperts!);
            result = experts.Forward(RouterReadsOther ? own : x, own, inputs, Format, training, instead);
            y = Rounded.Add(Normed(y, gemma.AfterDense!), Normed(result.Output, gemma.AfterExperts!));
        }
        var joined = Joined(x, normed, Dropped(Normed(y, gemma.AfterBoth), inputs));
        var scalar = Tape.RepeatRow(Tape.RepeatColumn(Tape.Constant(gemma.Scalar), joined.Columns), joined);
        return (Rounded.Multiply(joined, scalar), result);
    }

    Tensor Dropped(Tensor y, HubInputs inputs) => Rounded.Drop(y, inputs.Dropout, inputs.Streams[RandomUse.FeedForwardDropout]);

    Tensor Joined(Tensor x, Tensor normed, Tensor y)
    {
        if (Form.ResidualFactor != 1) y = Rounded.Scale(y, Form.ResidualFactor);
        return Rounded.Add(Sum.Under(Rounded, x, normed), y);
    }
}
