namespace SparseExperts.Oracle;

/// <summary>What a check says of one claim.</summary>
public enum Outcome
{
    /// <summary>The file does not make this claim.</summary>
    NotClaimed,

    /// <summary>The claim is what the dialect computes, within the derived bound.</summary>
    Agrees,

    /// <summary>The dialect leaves it open: a tie under an open tie rule, or a margin below the rounding bound.</summary>
    Undecided,

    /// <summary>The claim is something else.</summary>
    Differs,
}

/// <summary>The first place where a claim departs.</summary>
/// <param name="Index">Row-major index in the claim.</param>
/// <param name="Margin">By how much it departs; <paramref name="Bound"/> is what rounding explains.</param>
/// <param name="Count">Departures, of <paramref name="Of"/> numbers.</param>
public sealed record Difference(int Index, double Claimed, double Expected, double Margin, double Bound, int Count, int Of);

/// <summary>The result for one stage.</summary>
public sealed record StageVerdict(string Stage, Outcome Outcome, Difference? First = null, string Say = "");

/// <summary>All stages of a case, in the order in which they are checked; the first that differs is the culprit.</summary>
public sealed record Verdict(IReadOnlyList<StageVerdict> Stages)
{
    public StageVerdict? Culprit => Stages.FirstOrDefault(s => s.Outcome == Outcome.Differs);
    public Outcome Outcome => Culprit is not null ? Outcome.Differs : Stages.Any(s => s.Outcome == Outcome.Undecided) ? Outcome.Undecided : Outcome.Agrees;
}
