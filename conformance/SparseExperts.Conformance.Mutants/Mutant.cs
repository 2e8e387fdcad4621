namespace SparseExperts.Conformance.Mutants;

/// <summary>
/// A kernel with one instruction changed. <paramref name="Line"/> counts from 1; an empty <paramref name="Changed"/> leaves the instruction out.
/// </summary>
public sealed record Mutant(string File, string Kernel, int Line, string What, string Original, string Changed)
{
    /// <summary>The file's text with the fault in it.</summary>
    public string Plant(string text)
    {
        var lines = text.Split('\n');
        lines[Line - 1] = Changed;
        return string.Join('\n', lines);
    }

    public override string ToString() => $"{Kernel}, {File} line {Line}, {What}: {Original} → {(Changed.Length == 0 ? "nothing" : Changed.Trim())}";
}
