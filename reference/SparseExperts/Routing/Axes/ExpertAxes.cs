namespace SparseExperts.Routing;

/// <summary>The non-linearity of an expert; gated where the expert has a gate projection.</summary>
public enum ExpertActivation
{
    [Means("max(x, 0)")] Relu,
    [Means("½x(1 + erf(x/√2))")] GeluErf,
    [Means("½x(1 + tanh(√(2/π)(x + 0.044715x³)))")] GeluTanh,
    [Means("x·σ(x)")] Silu,
    [Means("σ(x)")] Sigmoid,
    [Means("tanh(x)")] Tanh,
    [Means("ln(1 + eˣ)")] Softplus,
    [Means("x")] Identity,
    [Means("g·σ(αg)·(u + β), g at most the limit, u within ± the limit", "transformers modeling_gpt_oss.py", Spelled = "swiglu_clamped")] SwigluClamped,
    [Means("silu(min(g, limit))·clip(u, ± limit)", "transformers modeling_deepseek_v4.py", Spelled = "swiglu_limited")] SwigluLimited,
    [Means("max(x, 0)²", "transformers modeling_nemotron_h.py", Spelled = "relu2")] ReluSquared,
    [Means("min(silu(g), limit)·clip(u, ± limit)", "transformers modeling_step3p7.py", Spelled = "swiglu_limited_after")] SwigluLimitedAfter,
    [Means("cap(g)·σ(g)·cap(u), cap(v) = c·tanh(v/c)", "transformers modeling_inkling2.py", Spelled = "swiglu_softcapped")] SwigluSoftcapped,
}

public static class ExpertActivations
{
    /// <summary>Whether it limits both halves of a gated expert, and so needs a gate projection.</summary>
    public static bool IsLimited(this ExpertActivation kind) => kind is ExpertActivation.SwigluClamped or ExpertActivation.SwigluLimited
        or ExpertActivation.SwigluLimitedAfter or ExpertActivation.SwigluSoftcapped;
}

/// <summary>How the shared expert joins the routed ones.</summary>
public enum SharedCombination
{
    [Means("added")] Sum,
    [Means("averaged", "transformers modeling_cohere2_moe.py")] Average,
}

/// <summary>From the experts' outputs to the layer's.</summary>
public enum Combination
{
    [Means("y = Σ gate·expert(x)")] Gated,
    [Means("the first-choice mask is read as indices: expert 1 gets the first gate, expert 0 the others",
        "transformers 5 modeling_nllb_moe.py")]
    MaskReadAsIndices,
    [Means("y = c₀·moe(x) + c₁·mlp(x), c = softmax of a learned pair", "deepspeed moe/layer.py, use_residual")] LearnedPair,
    [Means("y = α·expert(x) + (1 − α)·x", "fairseq modules/base_layer.py")] Interpolated,
}

/// <summary>Training that needs more than one forward pass or one loss.</summary>
public enum TrainingExtra
{
    [Means("none")] None,
    [Means("two passes with other experts and a symmetric divergence between them", "THOR, Zuo et al. 2022, eq. 5")] Consistency,
    [Means("policy gradient with the token's log-likelihood as reward and a running baseline", "Clark et al. 2022, section 3.3")] Reinforce,
}

/// <summary>Which information of the future a router looks at.</summary>
public enum Causality
{
    [Means("a token's output depends on itself and on earlier tokens of its group alone")] Causal,
    [Means("later tokens decide who gets a slot")] LooksAhead,
}
