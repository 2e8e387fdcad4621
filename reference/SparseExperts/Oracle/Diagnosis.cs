using System.Globalization;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Changes of one axis that explain a verdict, likeliest first.</summary>
/// <param name="Tried">How many changes were tried; fewer than there are where the file is too large for all.</param>
/// <param name="Of">How many there are.</param>
public sealed record Explanation(IReadOnlyList<AxisChange> Changes, int Tried, int Of)
{
    /// <summary>Whether nothing differs any more under the first of them.</summary>
    public bool CuresAll { get; init; }

    /// <summary>Nothing was looked for.</summary>
    public static Explanation None { get; } = new([], 0, 0);
}

/// <summary>
/// From a difference to a sentence: the claims are held to every dialect that lies one axis away, and the change under which they agree is
/// what the implementation does instead.
/// </summary>
public static class Diagnosis
{
    /// <summary>
    /// Changes that make the culprit's stage agree and no stage before it differ, because other numbers come of them: those that make everything agree first,
    /// then by <see cref="Neighbours.Plausibility"/>. The plausible ones are tried first, as many as the file's effort allows.
    /// </summary>
    public static Explanation Explain(Case @case, Verdict verdict, Func<IBackend> backend)
    {
        if (verdict.Culprit is not { } culprit) return Explanation.None;
        var bare = Stage.Until(@case, verdict);
        var all = Neighbours.Of(@case, backend).Where(n => Neighbours.CanReach(n.Change.Axis, culprit.Stage, bare))
            .Select((n, i) => (n.Change, n.Dialect, Place: i, Plausibility: Neighbours.Plausibility(@case.Dialect, n.Change)))
            .OrderByDescending(n => n.Plausibility).ToArray();
        List<(AxisChange Change, int Place, int Plausibility, int Left)> found = [];
        var (effort, one, count) = (new Effort(CheckEffort.Diagnosis(@case)), CheckEffort.Of(bare), 0);
        Verdict? Try(Case of, Dialect dialect)
        {
            // A solver that does not end costs a part of the whole, not all of it.
            var own = new Effort(Math.Min(effort.Left, effort.Limit / 16));
            var tried = TryCheck(of.Under(dialect), backend, own);
            effort.TrySpend(own.Spent);
            return tried;
        }
        foreach (var (change, dialect, place, plausibility) in all)
        {
            if (!effort.TrySpend(one)) break;
            count++;
            if (Try(bare, dialect) is not { } tried || !IsCured(culprit, tried, change)) continue;
            if (Try(@case, dialect) is { } whole) found.Add((change, place, plausibility, whole.Stages.Count(s => s.Outcome == Outcome.Differs)));
        }
        var ordered = found.OrderBy(f => f.Left).ThenByDescending(f => f.Plausibility).ThenBy(f => f.Place).ToArray();
        return new([.. ordered.Select(f => f.Change)], count, all.Length) { CuresAll = ordered.FirstOrDefault() is { Change: not null, Left: 0 } };
    }

    /// <summary>
    /// Whether the stage is cured and does not merely vanish, nothing before it breaks, and the change makes other numbers: a wider bound or a row that is left
    /// out explains nothing. The numbers speak for a format by themselves.
    /// </summary>
    static bool IsCured(StageVerdict culprit, Verdict tried, AxisChange change)
    {
        if (tried.Culprit is { } next && Index(tried, next.Stage) <= Index(tried, culprit.Stage)) return false;
        if (tried.Stages.FirstOrDefault(s => s.Stage == culprit.Stage) is not { } cured) return false;
        // Ties settle experts token by token; an order that is open as a whole would let anything pass.
        var isOpen = cured.Outcome == Outcome.Undecided && culprit.Stage != "expert";
        if (HasNoNumbers(culprit)) return cured.Numbers is { } its && culprit.Numbers!.Places.All(i => IsWithin(its, i));
        return IsRounding(change) || culprit.Numbers is not { } numbers || numbers.IsExplainedBy(cured.Numbers, isOpen);
    }

    /// <summary>Whether infinities or NaN depart: no rounding is between them and numbers.</summary>
    static bool HasNoNumbers(StageVerdict culprit) =>
        culprit.Numbers is { } of && of.Places.Any(i => !double.IsFinite(of.Expected[i]) || !double.IsFinite(of.Claimed[i]));

    /// <summary>Whether a number is claimed as it is expected, within a bound that is one.</summary>
    static bool IsWithin(Departure of, int i) =>
        of.Claimed[i] == of.Expected[i] || double.IsFinite(of.Bounds[i]) && Math.Abs(of.Claimed[i] - of.Expected[i]) <= of.Bounds[i];

    /// <summary>A change whose numbers are the right ones but for how often, or to what, they are rounded.</summary>
    static bool IsRounding(AxisChange change) => StageFormats.Axes.Contains(change.Axis) || change is { Axis: "gate", Is: "score_through_bias" };

    /// <summary>The verdict of a check, or null where the dialect cannot run on the file, or does not end within the effort.</summary>
    public static Verdict? TryCheck(Case @case, Func<IBackend> backend, Effort? effort = null)
    {
        using var own = backend();
        try
        {
            return CaseCheck.Run(@case, own, effort);
        }
        catch (Exception e) when (e is CaseException or RoutingException or DialectException or ShapeException)
        {
            return null;
        }
    }

    /// <summary>Place of a stage among those of a verdict.</summary>
    static int Index(Verdict verdict, string stage)
    {
        for (var i = 0; i < verdict.Stages.Count; i++)
            if (verdict.Stages[i].Stage == stage) return i;
        return int.MaxValue;
    }

    /// <summary>One plain sentence about a verdict.</summary>
    public static string Say(Case @case, Verdict verdict, Explanation explanation)
    {
        var stages = verdict.Stages.Count;
        if (verdict.Outcome == Outcome.Agrees) return $"all {stages} claims are what {@case.Dialect.Name} computes{Formats(verdict, [])}";
        if (verdict.Culprit is not { } culprit)
            return $"nothing contradicts {@case.Dialect.Name}; it leaves {Open(verdict)} open here (ties, or margins below rounding){Formats(verdict, [])}";
        var first = culprit.First!;
        var what = culprit.Stage switch
        {
            "expert" => "another expert is chosen",
            "slot" => first.Claimed < 0 ? "a choice that has a slot is dropped" : first.Expected < 0 ? "a choice that is dropped has a slot"
                : "another slot is given",
            "capacity" => "the capacity is another number",
            "gate" or "combine" => "the gate is another number",
            "token" => "another token sits in the slot",
            "count" => "tokens are counted differently",
            _ => "the number is another one",
        };
        var where = first.Of == 1 ? "" : $" at {first.Place}";
        var many = first.Of == 1 ? "" : $" ({first.Count} of {first.Of} differ)";
        var numbers = $"{Number(first.Claimed)} where {Number(first.Expected)} is expected";
        var sentence = $"{culprit.Stage} is the first stage that departs from {@case.Dialect.Name}: {NotANumber(culprit) ?? $"{what}{where}, {numbers}{many}"}";
        if (explanation.Changes.Count > 0) sentence = $"{sentence}; as if {string.Join(", or ", explanation.Changes.Take(3))}";
        sentence += Formats(verdict, explanation.Changes);
        return explanation.Tried == explanation.Of
            ? sentence
            : $"{sentence} (of {explanation.Of} changes of one axis, the {explanation.Tried} most plausible were tried)";
    }

    /// <summary>That claimed numbers are NaN where numbers are expected; null where none is.</summary>
    static string? NotANumber(StageVerdict culprit)
    {
        if (culprit.First is not { Claimed: double.NaN } first || culprit.Numbers is not { } of) return null;
        var none = of.Places.Count(i => double.IsNaN(of.Claimed[i]));
        var are = none == 1 ? "is" : "are";
        var many = first.Of == 1 ? "the claimed number is NaN" : $"{none} of the {first.Of} claimed numbers {are} NaN, first at {first.Place}";
        var others = none == first.Count ? "" : $" ({first.Count} of {first.Of} differ)";
        return $"{many}, where {Number(first.Expected)} is expected{others}";
    }

    static string Open(Verdict verdict) => string.Join(", ", verdict.Stages.Where(s => s.Outcome == Outcome.Undecided).Select(s => s.Stage));

    /// <summary>Stages of another format, but for those that are a cause already.</summary>
    static string Formats(Verdict verdict, IReadOnlyList<AxisChange> causes) =>
        string.Concat(verdict.FormatDepartures.Where(p => !causes.Any(p.IsExplainedBy)).Select(p => $"; {p}"));

    static string Number(double value) => value.ToString(value == Math.Floor(value) && Math.Abs(value) < 1e9 ? "0" : "G7", CultureInfo.InvariantCulture);
}
