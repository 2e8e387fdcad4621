using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;

namespace SparseExperts.Models.Hub;

/// <summary>A projection [in, out] and its bias [1, out], where it has one.</summary>
public sealed record Projected(Tensor Weight, Tensor? Bias = null)
{
    internal static Projected Declare(Weights weights, string name, int input, int output, bool bias) => new(
        weights.Projection(name, input, output, 1),
        bias ? weights.Matrix($"{name}.bias", 1, output, Starts.Zeros) : null);
}

/// <summary>What a layer's self-attention trains. What a form does not have is null.</summary>
public sealed record AttentionWeights
{
    /// <summary>[M, heads·d], or [query rank, heads·d] behind a first projection.</summary>
    public required Projected Query { get; init; }

    /// <summary>[M, key heads·d]; with latent keys [M, key rank + rotated columns].</summary>
    public required Projected Key { get; init; }

    /// <summary>[M, key heads·dᵥ]; with latent keys [key rank, heads·(plain + dᵥ)].</summary>
    public required Projected Value { get; init; }
    public required Projected Output { get; init; }

    /// <summary>First projection of low-rank queries [M, rank], and the norm behind it [1, rank].</summary>
    public Projected? QueryDown { get; init; }
    public Tensor? QueryDownNorm { get; init; }

    /// <summary>The norm of latent keys [1, rank].</summary>
    public Tensor? KeyDownNorm { get; init; }

    /// <summary>[1, d] or [1, heads·d], and the same of the keys.</summary>
    public Tensor? QueryNorm { get; init; }
    public Tensor? KeyNorm { get; init; }

    /// <summary>[1, heads].</summary>
    public Tensor? Sinks { get; init; }

    internal static AttentionWeights Declare(Weights weights, AttentionForm form, int width)
    {
        if (form.Latent is { } latent) return Latent(weights, form, latent, width);
        var (queries, keys) = form.Norm switch
        {
            QueryKeyNorm.Head => (form.HeadWidth, form.HeadWidth),
            QueryKeyNorm.Whole => (form.QueryColumns, form.KeyColumns),
            QueryKeyNorm.None or QueryKeyNorm.Unweighted => (0, 0),
            var other => throw new ConfigurationException($"norm of queries {other}: unknown"),
        };
        return new()
        {
            Query = Projected.Declare(weights, "q_proj", width, form.QueryColumns, form.InputBias),
            Key = Projected.Declare(weights, "k_proj", width, form.KeyColumns, form.InputBias),
            Value = Projected.Declare(weights, "v_proj", width, form.ValueColumns, form.InputBias),
            Output = Projected.Declare(weights, "o_proj", form.OutputColumns, width, form.OutputBias),
            QueryNorm = queries == 0 ? null : weights.Matrix("q_norm", 1, queries, Starts.Ones),
            KeyNorm = keys == 0 ? null : weights.Matrix("k_norm", 1, keys, Starts.Ones),
            Sinks = form.Sinks ? weights.Matrix("sinks", 1, form.Heads, Starts.Zeros) : null,
        };
    }

    static AttentionWeights Latent(Weights weights, AttentionForm form, HubLatent latent, int width)
    {
        int rank = latent.QueryRank ?? 0, keyRank = latent.KeyValueRank;
        return new()
        {
            QueryDown = rank == 0 ? null : Projected.Declare(weights, "q_a_proj", width, rank, form.InputBias),
            QueryDownNorm = rank == 0 ? null : weights.Matrix("q_a_layernorm", 1, rank, Starts.Ones),
            Query = Projected.Declare(weights, rank == 0 ? "q_proj" : "q_b_proj", rank == 0 ? width : rank, form.QueryColumns, false),
            Key = Projected.Declare(weights, "kv_a_proj_with_mqa", width, keyRank + latent.RotaryWidth, form.InputBias),
            KeyDownNorm = weights.Matrix("kv_a_layernorm", 1, keyRank, Starts.Ones),
            Value = Projected.Declare(weights, "kv_b_proj", keyRank, form.Heads * (latent.PlainWidth + form.ValueWidth), false),
            Output = Projected.Declare(weights, "o_proj", form.OutputColumns, width, form.OutputBias),
        };
    }
}
