using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>What attention's projections make of a layer's normalised input, heads side by side.</summary>
/// <param name="Query">[T, heads·d].</param>
/// <param name="Key">[T, key heads·d]; of latent attention [T, rank + rotated], the rotated columns shared by all heads.</param>
/// <param name="Value">[T, key heads·dᵥ]; of latent attention each head's own columns of its key before those of its value.</param>
readonly record struct HubProjections(Tensor Query, Tensor Key, Tensor Value)
{
    public static HubProjections Of(InFormat rounded, AttentionForm form, AttentionWeights weights, Tensor x, double epsilon, NormRounding norms) =>
        form.Latent is { } latent ? Latent(rounded, latent, weights, x, norms) : Plain(rounded, form, weights, x, epsilon, norms);

    static HubProjections Plain(InFormat rounded, AttentionForm form, AttentionWeights weights, Tensor x, double epsilon, NormRounding norms)
    {
        Tensor Projected(Projected by) =>
            form.Clip is { } limit ? rounded.Tape.Clamp(rounded.Project(x, by), -limit, limit) : rounded.Project(x, by);
        Tensor q = Projected(weights.Query), k = Projected(weights.Key), v = Projected(weights.Value);
        if (form.Norm == QueryKeyNorm.Whole)
            (q, k) = (rounded.Norm(q, weights.QueryNorm!, epsilon, norms), rounded.Norm(k, weights.KeyNorm!, epsilon, norms));
        return new(q, k, v);
    }

    /// <summary>Through low ranks.</summary>
    static HubProjections Latent(InFormat rounded, HubLatent latent, AttentionWeights weights, Tensor x, NormRounding norms)
    {
        var down = weights.QueryDown is { } first
            ? rounded.Norm(rounded.Project(x, first), weights.QueryDownNorm!, latent.NormEpsilon, norms)
            : x;
        var compressed = rounded.Project(x, weights.Key);                                                                  // [T, rank + rotated]
        var own = rounded.Norm(rounded.Tape.Columns(compressed, 0, latent.KeyValueRank), weights.KeyDownNorm!, latent.NormEpsilon, norms);
        return new(rounded.Project(down, weights.Query), compressed, rounded.Project(own, weights.Value));
    }
}
