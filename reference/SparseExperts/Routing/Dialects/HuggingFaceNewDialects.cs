namespace SparseExperts.Routing;

/// <summary>Model types of transformers 5.24 whose routers or experts have an idea of their own.</summary>
static class HuggingFaceNewDialects
{
    static readonly string[] Shared = ["k", "scaling_factor", "router_dtype", "activation", "activation_alpha", "activation_limit"];
    static readonly string[] Grouped = [.. Shared, "groups", "groups_kept", "group_score", "group_mask", "normalize"];

    /// <summary>Sigmoid scores, chosen with a bias, divided by their sum.</summary>
    static Dialect Sigmoid => new()
    {
        Name = "",
        Summary = "",
        Source = "",
        Evidence = Evidence.Recorded,
        Parameters = Shared,
        Score = Score.Sigmoid,
        K = 2,
        CorrectionBias = true,
        BiasRate = 1e-3,
        GroupScore = new(2),
        Ties = TieRule.Unspecified,
        OpenOrder = true,
        Normalize = Normalize.Sum,
        Activation = ExpertActivation.Silu,
        GatedExperts = true,
    };

    static Dialect Guarded(Dialect d, double epsilon) => d with { NormalizeGuard = NormalizeGuard.Added, NormalizeEpsilon = epsilon };

    static Dialect Softmax => Sigmoid with { Score = Score.Softmax, CorrectionBias = false, BiasRate = 0 };

    /// <summary>Logits are ranked, the gates are a softmax over the chosen ones.</summary>
    static Dialect SoftmaxOfChosen => Softmax with { Score = Score.SoftmaxPost, SelectBy = SelectBy.Logits, Normalize = Normalize.None, OpenOrder = false };

    static Dialect Gemma => Softmax.Float32ScoresAndGates() with
    {
        Name = "hf.gemma4",
        Summary = "the router reads a norm of the residual, experts another; softmax, over their sum, times a learned number of the expert",
        Source = "transformers modeling_gemma4.py",
        Parameters = [.. Shared, "router_norm_epsilon", "router_input_scale"],
        RouterNorm = true,
        ExpertScale = true,
        Activation = ExpertActivation.GeluTanh,
    };

    static Dialect Inkling2 => Guarded(Sigmoid, 1e-20).Float32RouterAndWeight() with
    {
        Name = "hf.inkling2",
        Summary = "sigmoid plus bias, over their sum, times 8; both halves of the experts softly capped, in float32",
        Source = "transformers modeling_inkling2.py",
        Parameters = [.. Shared, "score", "activation_gate_softcap", "activation_up_softcap"],
        ScalingFactor = 8,
        Activation = ExpertActivation.SwigluSoftcapped,
        ActivationDtype = NumberFormat.Float32,
        SumDtype = NumberFormat.Float32,
    };

    static Dialect Mistral => Guarded(Softmax, 1e-20) with
    {
        Name = "hf.mistral4",
        Summary = "softmax in the tokens' type, groups by their two best, others at 0, over their sum; shared expert",
        Source = "transformers modeling_mistral4.py",
        Parameters = Grouped,
        GroupMask = GroupMask.Zero,
        SharedExpert = true,
    };

    static Dialect MiniMax => HuggingFaceDialects.Balanced(Sigmoid.Float32ScoresAndGates() with
    {
        Name = "hf.minimax_m3_vl",
        Summary = "sigmoid plus bias, over their sum without guard; clamped gated experts, their sum times 2; shared expert of the same kind",
        Source = "transformers modeling_minimax_m3_vl.py",
        Parameters = [.. Shared, "output_scaling_factor"],
        Activation = ExpertActivation.SwigluClamped,
        OutputScalingFactor = 2,
        SharedExpert = true,
    }, 0.001);

    public static IReadOnlyList<Dialect> All { get; } =
    [
        Gemma,
        Gemma with
        { Name = "hf.diffusion_gemma", Summary = "the rule of hf.gemma4", Source = "transformers modeling_diffusion_gemma.py", RuleOf = "hf.gemma4" },
        HuggingFaceDialects.Balanced(Sigmoid.Float32Scores() with
        {
            Name = "hf.laguna",
            Summary = "logits softly capped where a cap is set, sigmoid plus bias, over their sum; the experts' sum scaled; shared expert",
            Source = "transformers modeling_laguna.py",
            Parameters = [.. Shared, "logits_softcap", "output_scaling_factor"],
            SharedExpert = true,
        }, 0.001),
        Guarded(Sigmoid, 1e-20).Float32Router() with
        {
            Name = "hf.nemotron_h",
            Summary = "sigmoid plus bias, groups, over their sum; experts without a gate half, relu squared, latent where they have a width of their own",
            Source = "transformers modeling_nemotron_h.py",
            Parameters = [.. Grouped, "latent_experts"],
            Activation = ExpertActivation.ReluSquared,
            GatedExperts = false,
            SharedExpert = true,
        },
        Guarded(Sigmoid, 1e-15).Float32RouterAndWeight() with
        {
            Name = "hf.muse_spark",
            Summary = "scaled logits, sigmoid plus bias, over their sum; experts at a width of their own between norms",
            Source = "transformers modeling_muse_spark.py",
            Parameters = [.. Shared, "logits_scale", "experts_in_norm_epsilon", "experts_post_norm_epsilon"],
            LogitsScale = 0.1767766952966369,
            LatentExperts = true,
            ExpertsInNorm = true,
            ExpertsPostNorm = true,
        },
        Sigmoid.Float32Router().GatesInTokensFormat() with
        {
            Name = "hf.inkling",
            Summary = "sigmoid plus bias; chosen and shared experts are divided by the sum of both, times 8 and a learned number",
            Source = "transformers modeling_inkling.py",
            ScalingFactor = 8,
            GlobalScale = true,
            SharedInGates = true,
            SharedExpert = true,
        },
        Inkling2,
        Inkling2 with
        { Name = "hf.inkling2_loop", Summary = "the rule of hf.inkling2", Source = "transformers modeling_inkling2_loop.py", RuleOf = "hf.inkling2" },
        Softmax with
        {
            Name = "hf.zaya",
            Summary = "an MLP router that hands its state to the next layer's; softmax, chosen with a bias, one expert or none, not divided",
            Source = "transformers modeling_zaya.py",
            Parameters = [.. Shared.Where(p => p != "scaling_factor"), "null_experts", "router_norm_epsilon"],
            K = 1,
            Router = RouterForm.Mlp,
            RouterNormEpsilon = 1e-5,
            CorrectionBias = true,
            BiasRate = 1e-3,
            Normalize = Normalize.None,
            NullExperts = 1,
        },
        Sigmoid.Float32Router() with
        {
            Name = "hf.kolibri1",
            Summary = "chosen by logits plus bias, gates are sigmoids, not divided by default; shared expert",
            Source = "transformers modeling_kolibri1.py",
            Parameters = [.. Shared, "normalize", "select_on"],
            SelectBy = SelectBy.Logits,
            Normalize = Normalize.None,
            SharedExpert = true,
        },
        Mistral,
        Mistral.Float32ScoresAndGates() with
        {
            Name = "hf.mistral_large4",
            Summary = "as hf.mistral4 with the softmax in float32, always divided",
            Source = "transformers modeling_mistral_large4.py",
            Parameters = [.. Grouped.Where(p => p != "normalize")],
        },
        MiniMax,
        MiniMax with
        {
            Name = "hf.step3p7",
            Summary = "sigmoid plus bias, over their sum without guard; experts limited behind their silu, by layer; the shared expert has a limit of its own",
            Source = "transformers modeling_step3p7.py",
            Parameters = [.. Shared, "output_scaling_factor", "shared_activation_limit"],
            Activation = ExpertActivation.SwigluLimitedAfter,
            ActivationLimit = 0,
            SharedActivationLimit = 0,
            OutputScalingFactor = 1,
            Balance = BalanceLoss.None,
            BalanceCoefficient = 0,
            LayerReduction = LayerReduction.Sum,
        },
        HuggingFaceDialects.Balanced(SoftmaxOfChosen with
        {
            Name = "hf.jetmoe",
            Summary = "top-k of logits, softmax over the chosen; a bias once a token",
            Source = "transformers modeling_jetmoe.py",
            Parameters = [.. Shared.Where(p => p != "scaling_factor")],
            OutputBias = true,
        }, 0.01),
        Guarded(Sigmoid, 1e-20).Float32Router() with
        {
            Name = "hf.beam",
            Summary = "sigmoid plus bias, groups, over their sum; the experts' sum times 2.5",
            Source = "transformers modeling_beam.py",
            Parameters = [.. Grouped.Where(p => p != "scaling_factor"), "output_scaling_factor"],
            OutputScalingFactor = 2.5,
            ActivationDtype = NumberFormat.Float32,
        },
        SoftmaxOfChosen.Float32Router() with
        {
            Name = "hf.openai_privacy_filter",
            Summary = "router with bias, softmax over the chosen over k, clamped experts with biases in float32, their sum times k",
            Source = "transformers modeling_openai_privacy_filter.py",
            Parameters = [.. Shared, "output_scaling_factor"],
            RouterBias = true,
            ScalingFactor = 0.5,
            OutputScalingFactor = 2,
            Activation = ExpertActivation.SwigluClamped,
            ExpertsDtype = NumberFormat.Float32,
            SumDtype = NumberFormat.Float32,
        },
        HuggingFaceDialects.Balanced(SoftmaxOfChosen with
        {
            Name = "hf.doge",
            Summary = "product keys whose halves are read from other tokens, softmax over the chosen, experts of one neuron; shared expert; balanced loss 1",
            Source = "transformers modeling_doge.py, CDMoE",
            Parameters = [.. Shared.Where(p => p != "scaling_factor"), "product_keys", "key_split"],
            Router = RouterForm.ProductKeys,
            KeySplit = KeySplit.Pooled,
            GatedExperts = false,
            SharedExpert = true,
            BalanceScale = BalanceScale.ExpertsOverChoices,
        }, 0.001),
        Softmax with
        {
            Name = "hf.vitpose_backbone",
            Summary = "the expert of the image's data set, no router; a shared first layer and the last features from the expert",
            Source = "transformers modeling_vitpose_backbone.py",
            Parameters = [.. Shared.Where(p => p != "scaling_factor")],
            K = 1,
            Router = RouterForm.None,
            Score = Score.None,
            Selection = Selection.TaskTable,
            Ties = TieRule.Lowest,
            OpenOrder = false,
            Gate = Gate.One,
            Normalize = Normalize.None,
            Activation = ExpertActivation.GeluErf,
            GatedExperts = false,
        },
    ];
}
