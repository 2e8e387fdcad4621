using FsCheck;
using FsCheck.Fluent;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>
/// What every dialect is asked, or the one that is named: scores [T, E] on a coarse grid, groups, a capacity, which tokens are real (empty: all), a seed of
/// its draws.
/// </summary>
public sealed record DialectCase(int Experts, int Groups, int Capacity, float[] Scores, float[] TokenMask, int Seed, Dialect? Dialect = null)
{
    public int Tokens => Scores.Length / Experts;
    public int Size => Tokens / Groups;

    /// <summary>Those of the given dialects that are asked.</summary>
    public IEnumerable<Dialect> Among(IEnumerable<Dialect> dialects) => dialects.Where(d => Dialect is null || d == Dialect);

    public override string ToString() => $"{Dialect?.Name ?? "every dialect"} " +
        $"E={Experts} G={Groups} C={Capacity} seed={Seed} scores [{string.Join(" ", Scores)}] real [{string.Join(" ", TokenMask)}]";

    /// <summary>Numbers of experts that every dialect can do with; sizes that balanced assignments can share.</summary>
    public static Gen<DialectCase> Any =>
        from experts in Gen.Elements(4, 8)
        from groups in Gen.Choose(1, 2)
        from rounds in Gen.Choose(1, 3)
        from capacity in Gen.Choose(1, 3)
        from seed in Gen.Choose(0, 1000)
        from scores in Gen.ArrayOf(Gen.Choose(1, 40).Select(i => i / 64f), experts * groups * experts * rounds)
        from padded in Gen.Elements(false, true)
        from tokenMask in Gen.ArrayOf(Gen.Frequency((4, Gen.Constant(1f)), (1, Gen.Constant(0f))), padded ? groups * experts * rounds : 0)
        select new DialectCase(experts, groups, capacity, scores, tokenMask, seed);

    /// <summary>The same cases on every call.</summary>
    public static IReadOnlyList<DialectCase> Samples(int count) => Any.Sample(numberOfSamples: count, seed: new(1, 1), size: 12);

    /// <summary>The first dialect that fails, then fewer tokens.</summary>
    public IEnumerable<DialectCase> Smaller() => Dialect is null ? BuiltIn.All.Select(d => this with { Dialect = d }) : Shorter();

    IEnumerable<DialectCase> Shorter()
    {
        if (Groups > 1) yield return First(Size);
        if (TokenMask.Length > 0) yield return this with { TokenMask = [] };
        if (Groups == 1 && Tokens > Experts) yield return First(Experts);
    }

    /// <summary>The first tokens as one group.</summary>
    public DialectCase First(int tokens) =>
        this with { Groups = 1, Scores = Scores[..(tokens * Experts)], TokenMask = TokenMask.Length == 0 ? [] : TokenMask[..tokens] };
}
