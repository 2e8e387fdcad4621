namespace SparseExperts.Oracle;

/// <summary>How much a check may cost, by the size of its file: a small file is checked and explained within seconds, whatever it says.</summary>
static class CheckEffort
{
    /// <summary>Numbers of a file, as many as four bytes hold.</summary>
    public static long Held(Case @case) => @case.Tensors.Sum(t => t.Values.LongLength * Formats.NumberBytes.Size(t.DType)) / 4;

    /// <summary>Numbers that an intermediate of a check may have.</summary>
    public static long Room(Case @case) => 4 * Held(@case) + (1 << 20);

    /// <summary>What solvers may spend in one check.</summary>
    public static long Solvers(Case @case) => (1L << 30) + (Held(@case) << 11);

    /// <summary>What all changes that are tried on a file may cost together.</summary>
    public static long Diagnosis(Case @case) => Solvers(@case) / 2;

    /// <summary>Multiplications of one check, without its solvers: logits, experts, and three times as many again where gradients are claimed.</summary>
    public static long Of(Case @case)
    {
        var shape = (@case.Find("x") ?? @case.Find("claim.logits"))?.Shape ?? [1, 1];
        var tokens = shape[0] * shape[1];
        long experts = @case.Find("router.weight")?.Size(0) ?? @case.Find("claim.logits")?.Size(-1) ?? @case.Find("experts.wi")?.Size(0) ?? 1;
        long Width(string name) => @case.Find(name)?.Size(-2) ?? 0;
        long width = @case.Find("x")?.Size(-1) ?? 1, hidden = Width("experts.wi") + Width("experts.wi_gate") + (@case.Find("experts.wo")?.Size(-1) ?? 0);
        var shared = 3 * Width("shared.wi");
        var forward = (double)tokens * width * (experts + Math.Min(@case.Dialect.K, experts) * hidden + shared) + 64.0 * tokens * experts;
        return (long)Math.Min(1L << 44, @case.Tensors.Any(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal)) ? 4 * forward : forward);
    }
}
