namespace SparseExperts.Routing;

/// <summary>How a token becomes one number an expert.</summary>
public enum RouterForm
{
    [Means("logits = x·Wᵀ, plus a bias where the router has one", "Shazeer et al. 2017, eq. 3")] Linear,
    [Means("cosine of the projected token and each expert's embedding, times a learned temperature of at most 100", "tutel gates/cosine_top.py")] Cosine,
    [Means("cosine of token and slot parameters, times a learned scale", "vmoe projects/soft_moe/router.py")] SlotSimilarity,
    [Means("one router over groups of experts, one inside every group", "tensor2tensor 3d9c62f2, DistributedMixtureOfExperts")] TwoLevel,
    [Means("one linear router a task; a token meets the router of its task", "keras-mmoe mmoe.py")] LinearPerTask,
    [Means("token and embedding of its id, one beside the other", "3m-asr, SpeechMoE (You et al. 2021, eq. 2)")] LinearWithEmbedding,
    [Means("logits of the token's task, without a look at the token", "Kudugunta et al. 2021, section 3")] TaskEmbedding,
    [Means("free numbers, the same for every token", "google-research dselect_k_moe.py, static gate")] Constant,
    [Means("a projection to a width of its own, the state of the router before added, a norm, two hidden layers, a matrix",
        "transformers modeling_zaya.py")]
    Mlp,
    [Means("two short lists of keys: the logit of expert i·K + j is the first half's i plus the second half's j",
        "Lample et al. 2019, section 3.1")]
    ProductKeys,
    [Means("no logits: the experts are given or drawn")] None,
}

/// <summary>Whose products the two halves of a token's product keys are, T tokens with K keys a half.</summary>
public enum KeySplit
{
    [Means("the token's own 2K products", "Lample et al. 2019, section 3.1")] Token,
    [Means("the products [T, 2K] of all tokens are read as [2, T, K], so that a token sees others", "transformers modeling_doge.py")] Pooled,
}

/// <summary>What disturbs the router before it ranks experts.</summary>
public enum RouterPolicy
{
    [Means("nothing", "mesh moe.py _switch_gating")] Argmax,
    [Means("the router's input times U[1 − ε, 1 + ε)", "mesh moe.py _switch_gating")] InputJitter,
    [Means("dropout on the router's input", "mesh moe.py _switch_gating")] InputDropout,
    [Means("the expert is sampled: largest l + τ·g, g = −ln(−ln u); the gate stays clean", "mesh moe.py _switch_gating")] Sample,
    [Means("the expert is sampled with given Gumbel numbers; the gate stays clean", "deepspeed sharded_moe.py top1gating, RSample")] GumbelLogits,
}

/// <summary>Who sees the jittered tokens.</summary>
public enum JitterReach
{
    [Means("the router alone")] Router,
    [Means("router and experts: the noise is applied in place", "transformers modeling_mixtral.py")] RouterAndExperts,
    [Means("router and experts in float32; the router alone where a cast to float32 makes a copy", "transformers #33969")] InPlaceUnlessCast,
}

/// <summary>Noise that is added to the logits.</summary>
public enum LogitNoise
{
    [Means("none")] None,
    [Means("N(0, 1)·noise_std/E", "vmoe nn/routing.py; tutel fast_dispatch.py")] NormalPerExperts,
    [Means("N(0, 1)·(softplus(x·W_noiseᵀ) + ε)", "Shazeer et al. 2017, eq. 4")] NormalSoftplus,
    [Means("0.9 + 0.2·U[0, 1): added, not multiplied", "fastmoe gates/switch_gate.py")] UniformShift,
    [Means("noise_multiplier·Gumbel(0, 1)", "st_moe_pytorch; 'dense to sparse', Nie et al. 2021")] Gumbel,
}

/// <summary>The numbers that selection or gates start from.</summary>
public enum Score
{
    [Means("softmax over the experts")] Softmax,
    [Means("logits are ranked; the gates are a softmax over the chosen ones")] SoftmaxPost,
    [Means("sigmoid of each logit", "DeepSeek-V3 report, eq. 15")] Sigmoid,
    [Means("√softplus of each logit", "transformers modeling_deepseek_v4.py", Spelled = "sqrtsoftplus")] SqrtSoftplus,
    [Means("relu of each logit", "ReMoE, Wang et al. 2024, eq. 4")] Relu,
    [Means("softmax over the tokens of the group, an expert at a time", "mesh moe.py _expert_selection_gating")] SoftmaxOverTokens,
    [Means("softmax inside each of k equal parts of the experts", "M6-T, Yang et al. 2021; hetu KTop1Gate.py")] SoftmaxPerPrototype,
    [Means("none")] None,
}
