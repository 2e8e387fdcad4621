namespace SparseExperts.Routing;

/// <summary>How tokens are cut into groups of about <c>group_size</c> that compete for capacity. The count starts low and grows until it fits.</summary>
public enum GroupSplit
{
    [Means("starts at max(1, ⌊T/size⌋) and grows until it divides T", "mesh moe.py _split_into_groups, one device")] AnyDivisor,
    [Means("starts at max(⌊T/size⌋, replicas·E), a multiple of that that divides T; zero tokens fill up", "flaxformer moe_layers.py _num_groups, _maybe_pad")]
    MultipleOfExperts,
}
