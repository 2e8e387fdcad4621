namespace SparseExperts.Routing;

/// <summary>Who chooses whom.</summary>
public enum Selection
{
    [Means("each token takes its k best experts", "Shazeer et al. 2017, eq. 5")] TopK,
    [Means("each expert takes its best tokens", "Zhou et al. 2022, section 3.2")] ExpertChoice,
    [Means("a token without a place tries its next best expert, k times", "mesh moe.py _ntlb_gating")] Cascade,
    [Means("the second choice avoids experts that seem exhausted", "tensor2tensor expert_utils.py local_moe_tpu")] ExhaustionAware,
    [Means("k best groups of experts, then k best experts inside each", "tensor2tensor 3d9c62f2")] TwoLevel,
    [Means("one expert in each of k equal parts of the experts", "M6-T, Yang et al. 2021")] OnePerPrototype,
    [Means("the part of the experts with the largest probability mass, then the k best inside", "hetu SAMGate.py")] BestPartThenTopK,
    [Means("balanced by Sinkhorn iterations while training, top-k in evaluation", "megatron moe_utils.py sinkhorn")] Sinkhorn,
    [Means("balanced by fairseq's auction, round by round", "fairseq clib/libbase/balanced_assignment.cpp")] Auction,
    [Means("the balanced assignment with the largest sum of scores", "Lewis et al. 2021, eq. 3")] OptimalAssignment,
    [Means("soft assignment by entropic transport, then each expert's best tokens", "lingvo gshard_layers.py, optimal transport")] OptimalTransport,
    [Means("top-k of logits minus a running quantile of each expert", "megatron moe_utils.py qb_dual_update")] Quantile,
    [Means("each expert takes its best tokens of the batch while training, all above its threshold in evaluation",
        "Shazeer et al. 2017, appendix F")]
    Batchwise,
    [Means("every expert with a positive score", "ReMoE, Wang et al. 2024")] PositiveScores,
    [Means("top-k with k growing to the mean number of scores above 0.001 while training", "fastmoe, CustomDTSGate")] DynamicTopK,
    [Means("the largest logit, then the largest of the rest; each gate is a softmax over what lies near its winner",
        "transformers modeling_phimoe.py sparsemixer")]
    SparseMixer,
    [Means("products of smooth steps of a binary code pick k experts", "DSelect-k, Hazimeh et al. 2021")] BinaryCode,
    [Means("a table from token id to experts", "Hash layers, Roller et al. 2021")] HashTable,
    [Means("a table from the token's place in the batch to experts, gone round where it is shorter", "TensorRT-LLM StaticMoeRoutingMethod")] PlaceTable,
    [Means("the expert of the token's task or domain", "DEMix, Gururangan et al. 2021")] TaskTable,
    [Means("one random expert a call while training, one a token in evaluation", "THOR, Zuo et al. 2022")] Random,
    [Means("an expert drawn from the softmax while training, the best one in evaluation", "RL-R, Clark et al. 2022, section 3.3")] PolicySample,
    [Means("every token meets every expert")] All,
    [Means("slots are mixtures of tokens, tokens are mixtures of slots", "Soft MoE, Puigcerver et al. 2023")] SlotMixture,
    [Means("two choices at each of two levels, with capacity at both", "mesh moe.py transformer_moe_layer_v2")] TwoLevelCapacity,
}

/// <summary>What is ranked.</summary>
public enum SelectBy
{
    [Means("scores")] Scores,
    [Means("logits")] Logits,
}

/// <summary>Which of equal scores is taken.</summary>
public enum TieRule
{
    [Means("the lowest index", "jax.lax.top_k, tf.math.top_k, argmax everywhere")] Lowest,
    [Means("the highest index", "tensor2tensor common_layers.py top_1_tpu")] Highest,
    [Means("the lowest bit-reversed lane of 32, then the lowest index", "TransformerEngine common/fused_router")] BitReversedLane,
    [Means("open: whatever the library's top-k returns", "torch.topk documentation")] Unspecified,
}

/// <summary>What happens to an expert that the token has already chosen.</summary>
public enum Taken
{
    [Means("it is out")] Removed,
    [Means("its score becomes 0, so that it can win again where all others are 0", "mesh moe.py _top_2_gating")] Zeroed,
}

/// <summary>Which later choices of a token are used.</summary>
public enum Policy
{
    [Means("all", "mesh moe.py _top_2_gating")] All,
    [Means("none", "mesh moe.py _top_2_gating")] None,
    [Means("those whose gate exceeds the threshold", "mesh moe.py _top_2_gating")] Threshold,
    [Means("at random, the likelier the larger the gate", "mesh moe.py _top_2_gating")] Random,
    [Means("the second is sampled: best logit plus Gumbel number", "lingvo gshard_layers.py; deepspeed sharded_moe.py")] Sample,
    [Means("as many as the entropy −Σ p·ln(p + 10⁻⁹) of the scores says: k_least below threshold, ⌊(k_least + k)/2⌋ below upper_threshold, else k",
        "TensorRT-LLM #10672, AdaptiveKMoeRoutingMethod")]
    Entropy,
}

/// <summary>The test of the random policy, U uniform in [0, 1).</summary>
public enum RandomTest
{
    [Means("U < g / max(threshold, 10⁻⁹), g the gate as it stands", "mesh moe.py; lingvo gshard_layers.py")] OverThreshold,
    [Means("U < 2g, g the gate as it stands", "fairseq top2gate.py")] Twice,
    [Means("U < 2p, p the raw probability, which also becomes the gate again", "transformers modeling_nllb_moe.py")] TwiceRaw,
    [Means("dropped iff 2g < U", "fastmoe gates/gshard_gate.py")] NotBelow,
}

/// <summary>What the experts of a group that was not kept get.</summary>
public enum GroupMask
{
    [Means("0, which can still beat negative scores", "transformers #45440")] Zero,
    [Means("−∞", "DeepSeek-V3 inference/model.py")] MinusInfinity,
}

/// <summary>The score of a group of experts: its best, or the sum of its n best.</summary>
public readonly record struct GroupScore(int Count)
{
    public static GroupScore Max { get; } = new(0);
    public override string ToString() => Count == 0 ? "max" : $"top{Count}_sum";

    public static GroupScore? Parse(string text)
    {
        if (text == "max") return Max;
        if (!text.StartsWith("top", StringComparison.Ordinal) || !text.EndsWith("_sum", StringComparison.Ordinal)) return null;
        return int.TryParse(text[3..^4], out var best) && best > 0 ? new(best) : null;
    }
}

/// <summary>What padding does in routing.</summary>
public enum PaddingRule
{
    [Means("it is routed like a token")] Routed,
    [Means("it makes no choice and takes no slot")] Skipped,
    [Means("its scores become 0 before selection, so that it takes slots of experts 0 … k − 1",
        "flaxformer routing.py TokensChooseScatterRouter")]
    ScoresZeroed,
    [Means("its scores become 0; experts that still pick it put it back", "lingvo gshard_layers.py TokenShufflingOnlogitsV2")] PicksRemoved,
}

/// <summary>What padding's logits become before they are scored.</summary>
public enum PaddingLogits
{
    [Means("nothing happens to them")] Kept,
    [Means("0, so that each adds (ln E)² to the z-loss", "flaxformer routing.py, ignore_padding_tokens")] Zeroed,
    [Means("−10⁹ is added", "mesh moe.py _expert_selection_gating")] Lowered,
}
