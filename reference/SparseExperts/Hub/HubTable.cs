namespace SparseExperts.Hub;

/// <summary>The tensors of a family: those that every checkpoint of it has, and the namings of its experts, the hub's own first.</summary>
sealed record HubTable(IReadOnlyList<HubRow> Rows, params IReadOnlyList<HubRow>[] ExpertForms)
{
    /// <summary>What stands before all names but that of the head, where the file does not show another; empty where nothing ever does.</summary>
    public string Prefix { get; init; } = "model.";

    /// <summary>Parts of names as the modules of transformers 5 have them, and as checkpoints do, where the two differ.</summary>
    public IReadOnlyList<(string Module, string Checkpoint)> Modules { get; init; } = [];
}

/// <summary>Lines that tables share. All of it is data.</summary>
static class HubRows
{
    const string L = "layers.{l}.", Mlp = "layers.{l}.mlp.";

    public static IEnumerable<int> Every(HubConfig c) => Enumerable.Range(0, ((HubDecoder)c).Layers.Count);
    public static IEnumerable<int> Sparse(HubConfig c) => Every(c).Where(((HubDecoder)c).IsSparse);
    public static IEnumerable<int> Dense(HubConfig c) => Every(c).Where(i => !((HubDecoder)c).IsSparse(i));

    /// <summary>A matrix of a linear layer.</summary>
    public static HubRow Linear(string name, string shape) => new($"{L}{name}.weight", shape, HubLayout.Transposed, $"{L}{name}") { Layers = Every };

    /// <summary>Its bias.</summary>
    public static HubRow Bias(string name, string size) => new($"{L}{name}.bias", size, HubLayout.Row, $"{L}{name}.bias") { Layers = Every };

    /// <summary>The weights of a norm.</summary>
    public static HubRow Norm(string name, string size = "M") => new($"{L}{name}.weight", size, HubLayout.Row, $"{L}{name}") { Layers = Every };

    static HubDecoder D(HubConfig c) => (HubDecoder)c;

    /// <summary>Embedding, last norm, logits, and the two norms of each layer.</summary>
    public static readonly HubRow[] Frame =
    [
        new("embed_tokens.weight", "V M", HubLayout.Plain, "embed_tokens"),
        new("norm.weight", "M", HubLayout.Row, "norm"),
        new("lm_head.weight", "V M", HubLayout.Transposed, "lm_head") { If = c => !c.Tied, IsHead = true },
        Norm("input_layernorm"),
        Norm("post_attention_layernorm"),
    ];

    /// <summary>Grouped-query attention.</summary>
    public static readonly HubRow[] Attention =
    [
        Linear("self_attn.q_proj", "Q M"),
        Linear("self_attn.k_proj", "K M"),
        Linear("self_attn.v_proj", "W M"),
        Linear("self_attn.o_proj", "M O"),
        Bias("self_attn.q_proj", "Q") with { If = c => D(c).QueryKeyValueBias },
        Bias("self_attn.k_proj", "K") with { If = c => D(c).QueryKeyValueBias },
        Bias("self_attn.v_proj", "W") with { If = c => D(c).QueryKeyValueBias },
        Bias("self_attn.o_proj", "M") with { If = c => D(c).OutputBias },
        Norm("self_attn.q_norm", "h") with { If = c => D(c).QueryKeyNorm == QueryKeyNorm.Head },
        Norm("self_attn.k_norm", "h") with { If = c => D(c).QueryKeyNorm == QueryKeyNorm.Head },
        Norm("self_attn.q_norm", "Q") with { If = c => D(c).QueryKeyNorm == QueryKeyNorm.Whole },
        Norm("self_attn.k_norm", "K") with { If = c => D(c).QueryKeyNorm == QueryKeyNorm.Whole },
        new($"{L}self_attn.sinks", "H", HubLayout.Row, $"{L}self_attn.sinks") { Layers = Every, If = c => D(c).Sinks },
    ];

    /// <summary>Latent attention.</summary>
    public static readonly HubRow[] Latent =
    [
        Linear("self_attn.q_proj", "Q M") with { If = c => D(c).Latent!.QueryRank is null },
        Linear("self_attn.q_a_proj", "A M") with { If = c => D(c).Latent!.QueryRank is not null },
        Bias("self_attn.q_a_proj", "A") with { If = c => D(c).QueryKeyValueBias && D(c).Latent!.QueryRank is not null },
        Norm("self_attn.q_a_layernorm", "A") with { If = c => D(c).Latent!.QueryRank is not null },
        Linear("self_attn.q_b_proj", "Q A") with { If = c => D(c).Latent!.QueryRank is not null },
        Linear("self_attn.kv_a_proj_with_mqa", "R M"),
        Bias("self_attn.kv_a_proj_with_mqa", "R") with { If = c => D(c).QueryKeyValueBias },
        Norm("self_attn.kv_a_layernorm", "B"),
        Linear("self_attn.kv_b_proj", "U B"),
        Linear("self_attn.o_proj", "M O"),
        Bias("self_attn.o_proj", "M") with { If = c => D(c).OutputBias },
    ];

    /// <summary>A gated feed-forward layer at <paramref name="hub"/>, stored under the names gate, up and down.</summary>
    public static HubRow[] Gated(string hub, string own, string hidden, Func<HubConfig, IEnumerable<int>> layers, string[] names) =>
    [
        new($"{L}{hub}.gate_proj.weight", $"{hidden} M", HubLayout.Transposed, $"{L}{own}.{names[0]}") { Layers = layers },
        new($"{L}{hub}.up_proj.weight", $"{hidden} M", HubLayout.Transposed, $"{L}{own}.{names[1]}") { Layers = layers },
        new($"{L}{hub}.down_proj.weight", $"M {hidden}", HubLayout.Transposed, $"{L}{own}.{names[2]}") { Layers = layers },
    ];

    /// <summary>The dense layers.</summary>
    public static HubRow[] DenseLayers(string hub = "mlp") => Gated(hub, "mlp", "D", Dense, ["gate_proj", "up_proj", "down_proj"]);

    /// <summary>The shared expert, where there is one.</summary>
    public static HubRow[] Shared(string hub) =>
        [.. Gated(hub, "mlp.shared", "S", Sparse, ["wi_gate", "wi", "wo"]).Select(r => r with { If = c => D(c).SharedHidden > 0 })];

    /// <summary>W [E, M] of the router.</summary>
    public static HubRow Router(string hub) => new($"{L}{hub}", "E M", HubLayout.Transposed, $"{Mlp}router") { Layers = Sparse };

    /// <summary>The bias that only chooses.</summary>
    public static HubRow Correction(string hub, string shape = "E") =>
        new($"{L}{hub}", shape, shape == "E" ? HubLayout.Row : HubLayout.Plain, $"{Mlp}router_correction_bias") { Layers = Sparse };

    /// <summary>Every expert with tensors of its own.</summary>
    public static HubRow[] PerExpert(string hub, string gate = "gate_proj", string up = "up_proj", string down = "down_proj") =>
    [
        new($"{L}{hub}.{{e}}.{gate}.weight", "F M", HubLayout.Transposed, $"{Mlp}experts.wi_gate") { Layers = Sparse },
        new($"{L}{hub}.{{e}}.{up}.weight", "F M", HubLayout.Transposed, $"{Mlp}experts.wi") { Layers = Sparse },
        new($"{L}{hub}.{{e}}.{down}.weight", "M F", HubLayout.Transposed, $"{Mlp}experts.wo") { Layers = Sparse },
    ];

    /// <summary>All experts in one tensor, outputs before inputs, the gate in the first half.</summary>
    public static HubRow[] Packed(string gateAndUp = "mlp.experts.gate_up_proj", string down = "mlp.experts.down_proj") =>
    [
        new($"{L}{gateAndUp}", "E 2F M", HubLayout.Transposed, $"{Mlp}experts.wi_gate", $"{Mlp}experts.wi") { Layers = Sparse },
        new($"{L}{down}", "E M F", HubLayout.Transposed, $"{Mlp}experts.wo") { Layers = Sparse },
    ];

    /// <summary>The same, inputs before outputs.</summary>
    public static HubRow[] PackedByInput(string hub, bool takesTurns = false) =>
    [
        new($"{L}{hub}.gate_up_proj", "E M 2F", HubLayout.Plain, $"{Mlp}experts.wi_gate", $"{Mlp}experts.wi") { Layers = Sparse, TakesTurns = takesTurns },
        new($"{L}{hub}.down_proj", "E F M", HubLayout.Plain, $"{Mlp}experts.wo") { Layers = Sparse },
    ];

    /// <summary>The same in MXFP4, outputs before inputs; blocks and scales are one matrix.</summary>
    public static HubRow[] Quantised(string hub) =>
    [
        new($"{L}{hub}.gate_up_proj_blocks", "E 2F M", HubLayout.Transposed, $"{Mlp}experts.wi_gate", $"{Mlp}experts.wi")
        {
            Layers = Sparse,
            TakesTurns = true,
        },
        new($"{L}{hub}.down_proj_blocks", "E M F", HubLayout.Transposed, $"{Mlp}experts.wo") { Layers = Sparse },
    ];

    /// <summary>Biases of packed experts, gate and up taking turns.</summary>
    public static HubRow[] PackedBiases(string hub) =>
    [
        new($"{L}{hub}.gate_up_proj_bias", "E 2F", HubLayout.Row, $"{Mlp}experts.bi_gate", $"{Mlp}experts.bi") { Layers = Sparse, TakesTurns = true },
        new($"{L}{hub}.down_proj_bias", "E M", HubLayout.Row, $"{Mlp}experts.bo") { Layers = Sparse },
    ];
}
