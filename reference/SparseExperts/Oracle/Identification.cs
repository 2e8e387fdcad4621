using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>A changed axis and what speaks for it: the first claim that departs without the change.</summary>
public sealed record AxisEvidence(AxisChange Change, string Evidence);

/// <summary>An axis that the files leave open: values under which they agree just as well.</summary>
/// <param name="Suggest">What input would decide it.</param>
/// <param name="IsThere">The files have such an input, and it does not tell the values apart.</param>
public sealed record OpenAxis(string Axis, string Is, IReadOnlyList<string> Also, string Suggest, bool IsThere);

/// <summary>What reproduces the claims of all files.</summary>
/// <param name="Nearest">The dialect to start from: a built-in one, or those that the files name.</param>
/// <param name="Changes">Axes in which the implementation departs from it.</param>
/// <param name="Alternatives">Other changes, as many, that explain as much.</param>
/// <param name="Same">Other built-in dialects that reproduce all claims unchanged.</param>
/// <param name="Open">Axes that the files cannot decide.</param>
/// <param name="Left">Claims that still differ, over all files; 0 when everything is explained.</param>
public sealed record Identity(
    string Nearest, IReadOnlyList<AxisEvidence> Changes, IReadOnlyList<string> Alternatives, IReadOnlyList<string> Same, IReadOnlyList<OpenAxis> Open, int Left)
{
    /// <summary>Candidates that were left out because the files are large.</summary>
    public int Untried { get; init; }

    /// <summary>Stages whose numbers are of another format than the nearest dialect's though rounding hides it.</summary>
    public IReadOnlyList<FormatDeparture> FormatDepartures { get; init; } = [];
}

/// <summary>
/// Searches the dialect space for what an implementation computes: the dialect that the files name, then the built-in ones, then what lies one
/// axis away from the best of them, then combinations of axes. A candidate's distance is the number of claims that differ under it.
/// </summary>
public sealed class Identification
{
    /// <summary>Candidates that are followed at each depth, and how many axes may differ.</summary>
    const int Beam = 4, Depth = 3;

    /// <summary>Distance of a dialect that cannot run on a file at all.</summary>
    const int Impossible = 1000;

    /// <summary>The whole search may cost as much as so many explanations of its files; one solver of a candidate a small part of one.</summary>
    const int Explanations = 16, SolverShare = 64;

    /// <summary>Candidates that are tried however large the files are: all built-in dialects among them.</summary>
    static readonly int AtLeast = BuiltIn.All.Count + 150;

    sealed record Candidate(Dialect? Base, IReadOnlyList<AxisChange> Changes, int Distance);

    readonly IReadOnlyList<Case> _files;
    readonly Func<IBackend> _backend;
    readonly int[] _stages;
    readonly Effort _effort;
    readonly long _one, _solvers;
    int _untried;

    Identification(IReadOnlyList<Case> files, Func<IBackend> backend)
    {
        (_files, _backend) = (files, backend);
        _stages = [.. files.Select(f => Diagnosis.TryCheck(f, backend)?.Stages.Count ?? 0)];
        (_one, _solvers) = (files.Sum(CheckEffort.Of), files.Min(CheckEffort.Solvers) / SolverShare);
        _effort = new(Explanations * files.Sum(CheckEffort.Diagnosis) + AtLeast * _one);
    }

    /// <param name="backend">Makes backends whose numbers carry error bounds.</param>
    public static Identity Run(IReadOnlyList<Case> files, Func<IBackend> backend) => new Identification(files, backend).Run();

    Identity Run()
    {
        var named = Score([new(null, [], 0)])[0];
        var builtIn = Score([.. BuiltIn.All.Where(d => d.Name != _files[0].Dialect.Name).Select(d => new Candidate(d, [], 0))]);
        var (best, alternatives) = Search(named, builtIn);
        return new(best.Base?.Name ?? string.Join(", ", _files.Select(f => f.Dialect.Name).Distinct()),
            [.. best.Changes.Select(c => Evidence(best, c))], [.. alternatives.Select(a => string.Join(" and ", a.Changes))],
            [.. builtIn.Where(c => c.Distance == 0 && c.Base != best.Base).Select(c => c.Base!.Name)], best.Distance == 0 ? Undecided(best) : [], best.Distance)
        {
            Untried = _untried,
            FormatDepartures = Departures(best),
        };
    }

    /// <summary>
    /// The best candidate and its equals. What the files name comes first, then that with one change, for its author meant it; then other
    /// built-in dialects as they are; then changes of the best of all.
    /// </summary>
    (Candidate Best, IReadOnlyList<Candidate> Alternatives) Search(Candidate named, IReadOnlyList<Candidate> builtIn)
    {
        if (named.Distance == 0) return (named, []);
        var best = named;
        var known = builtIn.OrderBy(c => c.Distance).Take(Beam - 1).ToList();
        IReadOnlyList<Candidate> alternatives = [], beam = [named];
        for (var depth = 1; depth <= Depth; depth++)
        {
            var next = Score([.. beam.SelectMany(Steps)]).OrderBy(c => c.Distance).ThenByDescending(Plausibility).ToList();
            if (next.Count == 0) break;
            if (next[0].Distance < best.Distance)
            {
                best = next[0];
                alternatives = [.. next.Skip(1).TakeWhile(c => c.Distance == best.Distance).Where(c => c.Base == best.Base).Take(5)];
            }
            if (best.Distance == 0) break;
            if (depth == 1 && known[0].Distance == 0) return (known[0], []);
            beam = [.. next.Take(Beam), .. depth == 1 ? known : []];
        }
        return best.Distance <= known[0].Distance ? (best, alternatives) : (known[0], []);
    }

    int Plausibility(Candidate candidate) => Under(_files[0], candidate) is { } held ? candidate.Changes.Sum(c => Neighbours.Plausibility(held.Dialect, c)) : 0;

    IEnumerable<Candidate> Steps(Candidate from)
    {
        if (Under(_files[0], from) is not { } here) yield break;
        foreach (var (change, _) in Neighbours.Of(here, _backend))
            if (from.Changes.All(c => c.Axis != change.Axis)) yield return new(from.Base, [.. from.Changes, change], 0);
    }

    Case? Under(Case file, Candidate candidate)
    {
        try
        {
            var held = candidate.Base is { } dialect ? file.HeldTo(dialect) : file;
            Dialect? changed = held.Dialect;
            foreach (var change in candidate.Changes) changed = changed is null ? null : change.TryOn(changed);
            return changed is null ? null : held.Under(changed);
        }
        catch (DialectException)
        {
            return null;
        }
    }

    IReadOnlyList<Candidate> Score(IReadOnlyList<Candidate> candidates)
    {
        var scored = new Candidate[Affordable(candidates.Count)];
        var spent = new long[scored.Length];
        Parallelism.For(scored.Length, i => scored[i] = candidates[i] with { Distance = Distance(candidates[i], out spent[i]) });
        _effort.TrySpend(Math.Min(_effort.Left, spent.Sum()));
        return scored;
    }

    /// <summary>How many of so many candidates may still be tried.</summary>
    int Affordable(int count)
    {
        var affordable = (int)Math.Clamp(_effort.Left / Math.Max(1, _one), 0, count);
        _effort.TrySpend(affordable * _one);
        _untried += count - affordable;
        return affordable;
    }

    int Distance(Candidate candidate) => Distance(candidate, out _);

    int Distance(Candidate candidate, out long spent)
    {
        var distance = 0;
        var effort = new Effort(_solvers);
        for (var i = 0; i < _files.Count; i++)
            // A claim that a dialect does not speak of is not explained by it.
            distance += Verdict(_files[i], candidate, effort) is { } verdict
                ? verdict.Stages.Count(s => s.Outcome == Outcome.Differs) + Math.Max(0, _stages[i] - verdict.Stages.Count)
                : Impossible;
        spent = effort.Spent;
        return distance;
    }

    Verdict? Verdict(Case file, Candidate candidate, Effort? effort = null) =>
        Under(file, candidate) is { } held ? Diagnosis.TryCheck(held, _backend, effort) : null;

    /// <summary>Departures in precision that show in any file, but for the changes that are found already.</summary>
    IReadOnlyList<FormatDeparture> Departures(Candidate best) =>
        [.. _files.Select(f => Under(f, best)).OfType<Case>().SelectMany(StageFormats.Departures).Where(p => !best.Changes.Any(p.IsExplainedBy)).Distinct()];

    /// <summary>What departs first when one change is taken back.</summary>
    AxisEvidence Evidence(Candidate best, AxisChange change)
    {
        var without = best with { Changes = [.. best.Changes.Where(c => c != change)] };
        foreach (var file in _files)
            if (Verdict(file, without)?.Culprit is { First: { } first } culprit)
            {
                var place = $"{first.Place} of {Path.GetFileName(file.Path)} ({first.Count} of {first.Of})";
                return new(change, $"with {change.InsteadOf}, {culprit.Stage} differs at {place}");
            }
        return new(change, $"with {change.InsteadOf} the files cannot be recomputed");
    }

    /// <summary>Axes whose other values agree with every file as well, of those that matter to the dialect.</summary>
    IReadOnlyList<OpenAxis> Undecided(Candidate best)
    {
        var here = Under(_files[0], best)!.Dialect;
        var changes = Neighbours.Of(here).Select(n => n.Change).Where(c => Matters(c.Axis, here)).ToArray();
        changes = changes[..Affordable(changes.Length)];
        var agrees = new bool[changes.Length];
        Candidate With(AxisChange change) => best with { Changes = [.. best.Changes.Where(c => c.Axis != change.Axis), change] };
        Parallelism.For(changes.Length, i => agrees[i] = Distance(With(changes[i])) == 0);
        return [.. changes.Where((_, i) => agrees[i]).GroupBy(c => c.Axis).Select(Open).OfType<OpenAxis>()];

        OpenAxis? Open(IGrouping<string, AxisChange> of)
        {
            var (text, isThere) = DecidingCalls.For(of.Key, _files);
            return DecidingCalls.Decidable(new(of.Key, of.First().InsteadOf, [.. of.Select(c => c.Is)], text, isThere));
        }
    }

    /// <summary>Axes that every implementation decides, whatever its dialect says of them.</summary>
    static readonly string[] Always = ["score", "ties", "padding", "capacity_formula", "capacity_rounding", "normalize"];

    static bool Matters(string axis, Dialect dialect) =>
        Always.Contains(axis) || DialectFile.IsParameter(dialect, axis) || !DialectAxis.Find(axis)!.IsDefault(dialect);
}
