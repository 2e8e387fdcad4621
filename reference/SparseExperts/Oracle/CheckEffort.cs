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
    public static long Diagnosis(Case @case) => Solvers(@case);

    /// <summary>Multiplications of one check, without its solvers: logits, experts, and three times as many again where gradients are claimed.</summary>
    public static long Of(Case @case)
    {
        var call = CaseCall.Of(@case);
        long Width(string name) => @case.Find(name)?.Size(-2) ?? 0;
        long width = @case.Find("x")?.Size(-1) ?? 1, hidden = Width("experts.wi") + Width("experts.wi_gate") + (@case.Find("experts.wo")?.Size(-1) ?? 0);
        var shared = 3 * Width("shared.wi");
        var forward = (double)call.Tokens * width * (call.Experts + Math.Min(call.K, call.Experts) * hidden + shared) + 64.0 * call.Tokens * call.Experts;
        return (long)Math.Min(long.MaxValue / 2, @case.Tensors.Any(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal)) ? 4 * forward : forward);
    }
}
