namespace SparseExperts.Routing;

/// <summary>The loss that keeps experts equally busy.</summary>
public enum BalanceLoss
{
    [Means("none")] None,
    [Means("mean of scale·Σ_e f_e·P_e over the parts that balance_level says: share of tokens times mean probability", "Fedus et al. 2022, eq. 4")] Product,
    [Means("squared coefficient of variation, over groups and experts, of the probability mass that is kept", "tensor2tensor expert_utils.py local_moe_tpu")]
    VariationOfKeptMass,
    [Means("real tokens times Σ_t (mean over experts of the token's score)²", "mesh moe.py _expert_selection_gating")] TokenSquares,
    [Means("E·Σ_e (mean_t p_te)²", "3m-asr balance_loss.py, SpeechMoE eq. 7")] MeanSquares,
    [Means("Σ over experts and tokens of (mask by threshold − mask by batch)·(score − threshold)", "Shazeer et al. 2017, eq. 20")] BatchwiseThresholds,
}

/// <summary>f of the product loss: a constant.</summary>
public enum BalanceCount
{
    [Means("first choices, before dropping")] FirstChoice,
    [Means("all choices, before dropping: the sum over experts is k")] AllChoices,
    [Means("first choices that are kept", "st_moe_pytorch: the mask is changed in place before it is averaged")] KeptFirst,
    [Means("kept choices over kept choices", "fastmoe gates/switch_gate.py")] KeptShare,
    [Means("the kept first choice; dropped tokens count for expert 0", "transformers modeling_switch_transformers.py")] DroppedAsFirstExpert,
    [Means("all k candidates, each 1/k, used or not", "mesh moe.py _ntlb_gating")] Candidates,
    [Means("a plain top-k of the logits or scores, without bias, groups or dropping", "megatron moe_utils.py compute_routing_scores_for_aux_loss")] FreshTopK,
}

/// <summary>P of the product loss: the part with a gradient.</summary>
public enum BalanceMass
{
    [Means("scores")] Scores,
    [Means("scores as a distribution: softmax, or sigmoids over their sum", "megatron moe_utils.py compute_routing_scores_for_aux_loss")] Distribution,
    [Means("softmax of the clean logits", "transformers load_balancing_loss_func")] SoftmaxOfLogits,
    [Means("softmax of the softmax", "transformers #45120")] DoubleSoftmax,
    [Means("gates after dropping", "transformers modeling_nllb_moe.py")] Gates,
}

/// <summary>What padding does in the product loss.</summary>
public enum BalanceTokens
{
    [Means("counted like tokens")] All,
    [Means("counted in f and P; the result is scaled by the share of real tokens", "mesh moe.py _switch_gating")] ScaledByRealShare,
    [Means("left out of the sums, counted in the denominators", "mesh moe.py _top_2_gating")] RealOverAll,
    [Means("left out of sums and denominators", "transformers load_balancing_loss_func")] RealOverReal,
    [Means("left out of sums; where sequences are averaged, each is divided by their mean number of real tokens, twice", "megatron router.py, seq_aux_loss")]
    RealOverMean,
    [Means("left out of f's sum only", "fairseq top1gate.py")] RealCountsOverAll,
    [Means("left out of P's sum only", "flaxformer routing.py TokensChooseScatterRouter")] RealMassOverAll,
    [Means("left out of both sums; both denominators are the real share + 10⁻⁶", "lingvo gshard_layers.py")] RealOverRealShare,
}

/// <summary>What a product loss is taken over: every part has an f and a P of its own.</summary>
public enum BalanceLevel
{
    [Means("each group of tokens that compete, then the mean", "mesh moe.py _switch_gating")] Group,
    [Means("all tokens of the call, whatever its groups", "transformers load_balancing_loss_func; megatron router.py, aux_loss")] Batch,
    [Means("each sequence, then the mean", "megatron router.py, seq_aux_loss")] Sequence,
    [Means("each sequence by its own number of tokens, then the sum", "DeepSeek-V3 report, eq. 17–20; torchtitan #3864")] SequenceSum,
    [Means("all tokens of the call, f the mean of its counts and those of the previous_batches before it", "megatron router.py, global_aux_loss")] Global,
    [Means("this rank's share of the loss of all ranks' tokens: P of its own, f of all; the shares add up", "megatron router.py under context parallelism")]
    RankShare,
}

/// <summary>The factor of the product loss.</summary>
public enum BalanceScale
{
    [Means("E: perfect balance gives the number of choices counted a token", "Fedus et al. 2022, eq. 4")] Experts,
    [Means("E / k: perfect balance gives 1", "megatron moe_utils.py switch_load_balancing_loss_func")] ExpertsOverChoices,
    [Means("1 / E, as printed; the code that made the results has E", "Lepikhin et al. 2020, algorithm 1")] OneOverExperts,
}

/// <summary>Which tokens' squared log-sum-exp is averaged.</summary>
public enum ZLoss
{
    [Means("none")] None,
    [Means("all tokens", "flaxformer routing.py _router_z_loss")] AllTokens,
    [Means("real tokens", "mesh moe.py _router_z_loss")] RealTokens,
}

/// <summary>Squared coefficient of variation of what the experts are given.</summary>
public enum ImportanceLoss
{
    [Means("none")] None,
    [Means("of the gate sums", "Shazeer et al. 2017, eq. 6")] Gates,
    [Means("of the clean probabilities, group by group", "vmoe nn/routing.py _importance_auxiliary_loss")] CleanScores,
}

/// <summary>Squared coefficient of variation of a smooth count of tokens.</summary>
public enum LoadLoss
{
    [Means("none")] None,
    [Means("probability of staying among the k best under fresh noise; the threshold leaves the expert itself out", "Shazeer et al. 2017, eq. 8–10")]
    ExcludingItself,
    [Means("one threshold a token, the k-th noisy logit", "vmoe nn/routing.py _load_auxiliary_loss")] OneThreshold,
}

/// <summary>Divisor of the variance.</summary>
public enum Variance
{
    [Means("n")] Population,
    [Means("n − 1", "torch.Tensor.var")] Unbiased,
}

/// <summary>Tutel's choice among its losses.</summary>
public enum LossChoice
{
    [Means("E·Σ f·P over first choices", "tutel losses.py gshard_loss", Spelled = "gshard")] Gshard,
    [Means("importance and load averaged; the load subtracts a logit from a probability", "tutel losses.py load_importance_loss")] LoadImportance,
}

/// <summary>What the balance loss of a group is divided by.</summary>
public enum LossDenominator
{
    [Means("all tokens")] Tokens,
    [Means("real tokens")] RealTokens,
}

/// <summary>From the losses of the layers to one number.</summary>
public enum LayerReduction
{
    [Means("added up", "mesh moe.py")] Sum,
    [Means("averaged", "t5x contrib/moe/models.py")] Mean,
    [Means("layers are joined before f and P are multiplied, so that opposite layers cancel", "transformers load_balancing_loss_func")] Pooled,
}

/// <summary>Which tokens are counted where the correction bias is stepped.</summary>
public enum BiasTokens
{
    [Means("real tokens", "megatron router.py, local_tokens_per_expert")] Real,
    [Means("all tokens, padding too: where a router knows of no padding")] All,
}
