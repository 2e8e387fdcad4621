namespace SparseExperts.Routing;

/// <summary>The number that multiplies an expert's output.</summary>
public enum Gate
{
    [Means("the score of the expert")] Score,
    [Means("the number that the choice was ranked by; equals share its gradient", "tensor2tensor expert_utils.py local_moe_tpu")] RankedScore,
    [Means("1: the router only chooses")] One,
    [Means("the number that stands beside the expert in the table, 1 where there is none", "TensorRT-LLM StaticMoeRoutingMethod, routing_scales")] Table,
    [Means("sigmoid of the logit for one choice, softmax over all experts for more", "megatron router.py sinkhorn_load_balancing")] SigmoidOrSoftmax,
    [Means("softmax over the logits near the winner's", "transformers modeling_phimoe.py sparsemixer")] NearWinner,
    [Means("the score over the number of experts that took the token", "mesh moe.py _expert_selection_gating")] ScorePerExpertCount,
    [Means("sigmoid of the logit mixes expert and input: y = α·f(x) + (1 − α)·x", "fairseq modules/base_layer.py")] SigmoidMix,
    [Means("the score plus the bias that was meant for selection only", "transformers #41647")] BiasedScore,
    [Means("(score + bias) − bias in float32, which cancels", "TransformerEngine common/fused_router")] ScoreThroughBias,
}

/// <summary>What gates are divided by.</summary>
public enum Normalize
{
    [Means("nothing")] None,
    [Means("the sum over the choices, before anything is dropped", "mesh moe.py _top_2_gating")] BeforeDrop,
    [Means("the sum over the choices that are kept", "lingvo gshard_layers.py, legacy_mtf_behavior off")] AfterDrop,
    [Means("their sum", "transformers modeling_mixtral.py")] Sum,
    [Means("their Euclidean norm", "megablocks moe_normalize_expert_weights")] Norm2,
    [Means("their sum, unless the scores are a softmax already", "megatron moe_utils.py topk_routing_with_score_function")] SumUnlessSoftmax,
}

/// <summary>What keeps a division from 0/0.</summary>
public enum NormalizeGuard
{
    [Means("nothing")] None,
    [Means("normalize_epsilon is added to the divisor")] Added,
    [Means("the divisor is at least normalize_epsilon")] AtLeast,
    [Means("a divisor that is not positive becomes 1", "lingvo gshard_layers.py")] OneUnlessPositive,
}

/// <summary>Where the gate multiplies.</summary>
public enum GatePlace
{
    [Means("the expert's output")] Output,
    [Means("the expert's input", "transformers modeling_llama4.py")] Input,
}
