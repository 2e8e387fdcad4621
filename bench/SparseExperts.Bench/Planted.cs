using System.Diagnostics;
using System.Globalization;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Bench;

/// <summary>
/// How many faults the oracle sees. Every dialect's probes are answered with one axis changed and held to the dialect itself; a change that no
/// claim of a probe shows counts as unseen there, so the sum is a measure to compare and not one to bring to 100 %.
/// </summary>
static class Planted
{
    const string Refused = "refused", Broken = "broken", Differs = nameof(Outcome.Differs);

    /// <summary>Results of one dialect's calls by kind, how many changes no probe of it shows, and the calls that pass.</summary>
    sealed record Count(Dictionary<string, int> Results, int Unseen, IReadOnlyList<string> Passed)
    {
        public int this[string result] => Results.GetValueOrDefault(result);
    }

    public static int Run(string[] names, string[] scenarios, string? listing)
    {
        var clock = Stopwatch.StartNew();
        Dialect[] dialects = [.. BuiltIn.All.Where(d => names.Length == 0 || names.Contains(d.Name)).Where(Probes.Has)];
        var counts = new Count[dialects.Length];
        Parallelism.For(dialects.Length, i => counts[i] = Of(dialects[i], scenarios));
        if (listing is not null) File.WriteAllLines(listing, counts.SelectMany(c => c.Passed));
        int Sum(string result) => counts.Sum(c => c[result]);
        string[] kinds = [Differs, nameof(Outcome.Undecided), nameof(Outcome.Agrees), Refused, Broken];
        Console.WriteLine($"{dialects.Length} dialects: {string.Join(", ", kinds.Select(kind => $"{Sum(kind)} {kind.ToLowerInvariant()}"))}");
        var unseen = counts.Sum(c => c.Unseen);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{unseen} changes are shown by no probe; {clock.Elapsed.TotalSeconds:F0} s"));
        return 0;
    }

    static Count Of(Dialect dialect, string[] scenarios)
    {
        Probe[] probes = [.. Probes.Of(dialect).Where(p => scenarios.Length == 0 || scenarios.Contains(p.Name))];
        var results = new Dictionary<string, int>();
        var passed = new List<string>();
        var unseen = 0;
        foreach (var (change, changed) in Neighbours.Of(dialect))
        {
            var isSeen = false;
            foreach (var probe in probes)
            {
                var result = Result(probe.Case, changed);
                results[result] = results.GetValueOrDefault(result) + 1;
                isSeen |= result == Differs;
                if (result is not (Differs or Refused)) passed.Add($"{dialect.Name}, {probe.Name}, {change}: {result}");
            }
            if (!isSeen) unseen++;
        }
        return new(results, unseen, passed);
    }

    /// <summary>What the check says of answers that another dialect gave, whether it or the dialect refuses the file, or breaks over it.</summary>
    static string Result(Case asked, Dialect changed)
    {
        using var answering = new ScalarBackend<Float32>();
        using var checking = new ScalarBackend<Tracked>();
        try
        {
            return CaseCheck.Run(CaseAnswers.Fill(asked.Under(changed), answering).Under(asked.Dialect), checking).Outcome.ToString();
        }
        catch (Exception e) when (e is CaseException or RoutingException or DialectException or ShapeException)
        {
            return Refused;
        }
        catch (Exception e) when (e is NullReferenceException or InvalidOperationException or IndexOutOfRangeException or ArgumentException)
        {
            return Broken;
        }
    }
}
