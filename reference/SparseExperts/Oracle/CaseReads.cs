using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Which dialects read the tensors that only some of them have: a norm, a scale or a state given to a router without one must not pass silently.
/// </summary>
static class CaseReads
{
    /// <summary>A tensor, the axis that reads it with the value that does, and whether a dialect has that value.</summary>
    sealed record Reader(string Name, string Axis, Func<Dialect, bool> Reads);

    static readonly Reader[] Readers =
    [
        new("router.norm", "router_norm", d => d.RouterNorm),
        new("router.expert_scale", "expert_scale", d => d.ExpertScale),
        new("router.global_scale", "global_scale", d => d.GlobalScale),
        new("router.shared_weight", "shared_in_gates", d => d.SharedInGates),
        .. Of("router mlp", d => d.Router == RouterForm.Mlp, "router.down.weight", "router.down.bias", "router.previous", "router.previous_scale",
            "router.mlp.norm", "router.mlp.w1", "router.mlp.b1", "router.mlp.w2", "router.mlp.b2"),
        .. Of("router product_keys", d => d.Router == RouterForm.ProductKeys, "router.keys.weight"),
        .. Of("latent_experts", d => d.LatentExperts || d.Parameters.Contains("latent_experts"), "experts.in", "experts.out"),
        new("experts.in_norm", "experts_in_norm", d => d.ExpertsInNorm),
        new("experts.post_norm", "experts_post_norm", d => d.ExpertsPostNorm),
        new("experts.output_bias", "output_bias", d => d.OutputBias),
        .. Of("another selection", d => d.LayerKind() != LayerKind.Soft, "experts.x", "shared.wi", "shared.wi_gate", "shared.wo", "shared.gate"),
        .. Of("selection hash_table or place_table", d => d.Selection is Selection.HashTable or Selection.PlaceTable, "router.table"),
        new("router.table_gates", "gate table", d => d.Gate == Gate.Table),
        new("router.correction_bias", "correction_bias", d => d.CorrectionBias),
        new("router.correction_bias.images", "bias_of_images", d => d.BiasOfImages),
    ];

    static IEnumerable<Reader> Of(string axis, Func<Dialect, bool> reads, params string[] names) => names.Select(name => new Reader(name, axis, reads));

    /// <summary>Refuses a tensor that the dialect does not read, and names dialects that do.</summary>
    public static void Check(Case c)
    {
        foreach (var reader in Readers)
        {
            if (!c.Has(reader.Name) || reader.Reads(c.Dialect)) continue;
            var others = BuiltIn.All.Where(reader.Reads).Select(d => d.Name).ToArray();
            var some = others.Length == 0 ? "" : $" (as {string.Join(", ", others.Take(3))}{(others.Length > 3 ? ", …" : "")})";
            throw new CaseException($"{c.Path}: {c.Dialect.Name} does not read {reader.Name}; remove it, or name a dialect with {reader.Axis}{some}");
        }
    }
}
