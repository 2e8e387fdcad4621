using System.Globalization;

namespace SparseExperts.Cli.SelfTest;

/// <summary>
/// What a test of a backend found. <paramref name="SameBits"/> counts the cases with the definition's very bits, <paramref name="WorstShare"/> is the
/// largest share of a derived bound in the others, <paramref name="Fault"/> the first departure.
/// </summary>
sealed record SelfTestResult(string Kind, string Name, int Cases, int SameBits, double WorstShare, string? Case, string? Fault)
{
    public bool Passed => Fault is null;

    public string Line => $"{(Passed ? "ok  " : "FAIL")}  {Kind,-8} {Name,-28} {Found}";

    string Counted => Kind == "training" ? "steps" : "cases";

    string Found => this switch
    {
        { Fault: { } fault } => $"{fault}: {Case}",
        { SameBits: var same, Cases: var all } when same == all => $"{all} {Counted}, the definition's bits",
        { WorstShare: double.NaN } => $"{Cases} {Counted}, not judged: {Case}",
        _ => string.Create(CultureInfo.InvariantCulture, $"{Cases} cases, {SameBits} with the definition's bits, at worst {WorstShare:F3} of a bound: {Case}"),
    };
}
