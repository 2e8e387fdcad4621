namespace SparseExperts.Routing;

/// <summary>
/// How many tokens of a group an expert may take: C = max(min(S, ⌊S·factor/E⌋), minimum) with S tokens a group
/// (Mesh-TensorFlow moe.py, transformer_moe_layer_v1). The maximum comes last, so C may exceed S.
/// </summary>
public sealed record CapacityRule(double Factor, int Minimum)
{
    /// <summary>Switch while training: 1.25; while evaluating: 2.0; at least 4 in both.</summary>
    public static CapacityRule SwitchTrain { get; } = new(1.25, 4);
    public static CapacityRule SwitchEval { get; } = new(2.0, 4);

    public int Capacity(int tokensPerGroup, int experts) =>
        Math.Max((int)Math.Min(tokensPerGroup, Math.Truncate(tokensPerGroup * Factor / experts)), Minimum);
}

/// <summary>
/// How tokens are cut into groups that compete for capacity: the count starts at max(1, ⌊T/size⌋) and grows until it divides T
/// (Mesh-TensorFlow moe.py, _split_into_groups, one device). A group can therefore be larger than <paramref name="Size"/>.
/// Size 0 is one group of everything.
/// </summary>
public sealed record GroupRule(int Size)
{
    public int Groups(int tokens)
    {
        if (Size <= 0 || tokens == 0) return 1;
        var groups = Math.Max(1, tokens / Size);
        while (tokens % groups != 0) groups++;
        return groups;
    }
}
