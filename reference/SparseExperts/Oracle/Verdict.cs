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

/// <summary>Outcomes in words.</summary>
public static class Outcomes
{
    public static string Word(this Outcome outcome) => outcome switch
    {
        Outcome.Agrees => "agrees",
        Outcome.Undecided => "undecided",
        Outcome.Differs => "differs",
        Outcome.NotClaimed => "not claimed",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, "unknown outcome"),
    };
}

/// <summary>The first place where a claim departs.</summary>
/// <param name="Index">Row-major index in the claim.</param>
/// <param name="Margin">By how much it departs; NaN where that has no number.</param>
/// <param name="Bound">What rounding explains.</param>
/// <param name="Count">Departures, of <paramref name="Of"/> numbers.</param>
public sealed record Difference(int Index, double Claimed, double Expected, double Margin, double Bound, int Count, int Of)
{
    public int? Group { get; init; }
    public int? Token { get; init; }
    public int? Choice { get; init; }
    public int? Expert { get; init; }
    public int? Slot { get; init; }

    /// <summary>The place in words: <c>group 0, token 17, choice 1, expert 3</c>.</summary>
    public string Place
    {
        get
        {
            List<string> parts = [];
            if (Group is { } g) parts.Add($"group {g}");
            if (Token is { } t) parts.Add($"token {t}");
            if (Choice is { } k) parts.Add($"choice {k}");
            if (Expert is { } e) parts.Add($"expert {e}");
            if (Slot is { } s) parts.Add($"slot {s}");
            return parts.Count > 0 ? string.Join(", ", parts) : Of == 1 ? "the only number" : $"number {Index}";
        }
    }
}

/// <summary>The result for one stage.</summary>
public sealed record StageVerdict(string Stage, Outcome Outcome, Difference? First = null)
{
    /// <summary>Reads the numbers.</summary>
    internal Func<Departure?>? Reading { get; init; }

    /// <summary>The numbers themselves; null where there are more or fewer than expected.</summary>
    public Departure? Numbers => Reading?.Invoke();
}

/// <summary>All stages of a case, in the order in which they are checked; the first that differs is the culprit.</summary>
/// <param name="Say">One plain sentence.</param>
public sealed record Verdict(IReadOnlyList<StageVerdict> Stages, string Say = "")
{
    /// <summary>A narrower format than the file stores that the claims were held to; null where none was needed.</summary>
    public HeldFormat? Held { get; init; }

    /// <summary>Claims that were printed in decimal, with their significant digits: half a unit of the last was allowed.</summary>
    public IReadOnlyList<(string Name, int Digits)> Printed { get; init; } = [];

    /// <summary>Stages whose numbers are of another format than the dialect's, whether or not rounding hides it.</summary>
    public IReadOnlyList<FormatDeparture> FormatDepartures { get; init; } = [];

    /// <summary>What the implementation does instead, likeliest first; empty where nothing was found or looked for.</summary>
    public IReadOnlyList<Cause> Causes { get; init; } = [];

    /// <summary>Whether the one cause is the only one that was found, and nothing differs with it any more.</summary>
    public bool IsCertain { get; init; }

    /// <summary>What the verdict does not say and a reader should know.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    public StageVerdict? Culprit => Stages.FirstOrDefault(s => s.Outcome == Outcome.Differs);
    public Outcome Outcome => Culprit is not null ? Outcome.Differs : Stages.Any(s => s.Outcome == Outcome.Undecided) ? Outcome.Undecided : Outcome.Agrees;
}
