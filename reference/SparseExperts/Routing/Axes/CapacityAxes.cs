namespace SparseExperts.Routing;

/// <summary>
/// Slots C of an expert in a group of S tokens, E experts, k choices, factor cf: the written order of operations counts. Rounding and limits
/// are axes of their own.
/// </summary>
public enum CapacityFormula
{
    [Means("no capacity: nothing is dropped")] None,
    [Means("a given number", "transformers expert_capacity")] Given,
    [Means("S·cf / E", "mesh moe.py; flaxformer moe_layers.py")] PerToken,
    [Means("a given 0 drops all, any other number drops nothing: the count runs over an axis of length 1",
        "transformers 5.0 modeling_switch_transformers.py")]
    UnlessZero,
    [Means("S·k·cf / E", "vmoe moe.py compute_capacity")] PerChoice,
    [Means("(S·k / E)·cf", "megatron moe_utils.py get_capacity")] ShareTimesFactor,
    [Means("(S / E)·float32(cf·k), all in float32", "deepspeed sharded_moe.py _capacity")] ShareTimesFactorSingle,
    [Means("cf·⌈S / E⌉", "fairseq top1gate.py")] FactorTimesWholeShare,
    [Means("k·round(cf·⌈S / E⌉); cf = 0: the largest load; cf < 0: the same, at most k·round(−cf·⌈S / E⌉)", "tutel fast_dispatch.py")] ChoicesTimesWholeShare,
    [Means("k·⌈S / E⌉", "fairseq top2gate.py")] ChoicesTimesShare,
    [Means("k·⌈(S / E)·cf⌉", "hetu TopGate.py")] ChoicesTimesCeiling,
    [Means("cf·(k·S / E)", "megablocks layers/moe.py")] FactorTimesShare,
    [Means("⌊⌈cf·S⌉·k / E⌋", "fastmoe gates/gshard_gate.py")] WholeChoicesPerExpert,
    [Means("cf·S / E, counted at the expert", "fastmoe gates/switch_gate.py")] FactorTimesTokens,
    [Means("cf·S for every expert", "fastmoe gates/dc_gate.py")] FactorTimesAllTokens,
    [Means("the largest load", "deepspeed sharded_moe.py, drop_tokens = False")] LargestLoad,
    [Means("S·cf / E; 0 becomes 4; then up to a multiple of 4", "lingvo gshard_layers.py")] LingvoRaised,
    [Means("(S // E)·E: an operator precedence that gives nearly all tokens", "lingvo gshard_layers.py TokenShufflingOnlogits")] LingvoShuffle,
    [Means("a given number, or else k·⌈S / E⌉", "transformers modeling_nllb_moe.py")] GivenOrChoicesTimesShare,
    [Means("k·S / E, the same for all experts", "Shazeer et al. 2017, appendix F; Lewis et al. 2021")] EqualShare,
}

/// <summary>From a real number to a whole one.</summary>
public enum CapacityRounding
{
    [Means("towards zero", Spelled = "trunc")] Truncate,
    [Means("to nearest, half to even")] Round,
    [Means("up", Spelled = "ceil")] Ceiling,
}

/// <summary>Whether C is limited by the tokens of the group.</summary>
public enum CapacityLimit
{
    [Means("no: C may exceed S")] None,
    [Means("by S, before the minimum, so that C may still exceed S", "mesh moe.py")] TokensThenMinimum,
    [Means("C > S means that nothing is dropped", "megatron moe_utils.py apply_router_token_dropping")] Unlimited,
}

/// <summary>Who keeps a slot when an expert is full.</summary>
public enum DropPolicy
{
    [Means("the earliest in the order of requests", "GShard, Lepikhin et al. 2020, algorithm 1")] Position,
    [Means("the largest gates", "megatron moe_utils.py apply_router_token_dropping")] Score,
    [Means("the largest logits, against 0 for those who did not ask", "deepspeed #7986")] Logit,
    [Means("the largest draws: random token selection", "deepspeed sharded_moe.py top1gating")] Random,
    [Means("nobody is dropped")] None,
}

/// <summary>The order in which requests are served.</summary>
public enum RequestOrder
{
    [Means("all first choices, then all second ones", "GShard, Lepikhin et al. 2020, algorithm 1")] ChoiceMajor,
    [Means("token by token", "megablocks layers/moe.py")] TokenMajor,
}

/// <summary>Which number a kept request gets.</summary>
public enum SlotOrder
{
    [Means("its place in the order of requests")] Arrival,
    [Means("its rank by score, best first")] Descending,
    [Means("its place among the kept tokens of the expert, in token order")] TokenAmongKept,
}

/// <summary>What a choice without a slot does.</summary>
public enum DroppedOutput
{
    [Means("nothing: the residual carries the token")] Zero,
    [Means("gate times the layer's input", "transformers before #37017")] GateTimesInput,
    [Means("it shares slot 0 of its expert: inputs add up, all get the same output", "lingvo gshard_layers.py HashGatingOnLogits")] SharedSlot,
    [Means("its slot is counted from the last choice's requests, so that two tokens can meet in one slot", "hetu TopGate.py")] CollidingSlot,
}
