using System.Globalization;
using System.Text;
using SparseExperts.Autograd;

namespace SparseExperts.Profiling;

/// <summary>A profile for people: by layer in the order of the model, by kernel and by place with the costliest first.</summary>
public static class ProfileTable
{
    const int Costliest = 12;
    const double MiB = 1024 * 1024;

    public static string Of(Profile profile)
    {
        var unit = profile.Command == "train" ? "step" : "batch";
        var units = profile.Steps == 1 ? unit : profile.Command == "train" ? "steps" : "batches";
        double each = 1e3 * profile.Seconds / profile.Steps, between = 100 * profile.HostSeconds / profile.Seconds;
        var text = new StringBuilder();
        text.Append(Invariant($"profile of {profile.Steps} {units} on {profile.Backend}: {each:F2} ms a {unit}"));
        text.AppendLine(Invariant($", {between:F1} % of it between calls (planning, recording)"));
        if (profile.Waits) text.AppendLine("every call was waited for: a backend that works while the host goes on is faster than this sum");
        text.AppendLine();
        Table(text, profile, unit, "layer", profile.Calls.GroupBy(LayerOf).OrderBy(g => Place(g.Key), StringComparer.Ordinal));
        Table(text, profile, unit, "kernel", profile.Calls.GroupBy(c => c.Kernel).OrderByDescending(g => g.Sum(c => c.Seconds)).Take(Costliest));
        var places = profile.Calls.GroupBy(c => $"{LayerOf(c)} {c.Op}".TrimEnd());
        Table(text, profile, unit, "costliest: layer, op", places.OrderByDescending(g => g.Sum(c => c.Seconds)).Take(Costliest));
        Traffic(text, profile, unit);
        double peak = profile.PeakBytes / MiB, lasting = profile.LastingBytes / MiB;
        var how = profile.Recompute ? ", activations recomputed" : "";
        // Evaluations between the steps rent too, so that neither number belongs to a step.
        text.Append(Invariant($"memory: {peak:F1} MiB rented at the peak, evaluations included, {lasting:F1} of them for the whole run{how}"));
        text.Append(Invariant($"; {profile.Rents:N0} rents in all"));
        return text.ToString();
    }

    static void Table(StringBuilder text, Profile profile, string unit, string title, IEnumerable<IGrouping<string, ProfileLine>> groups)
    {
        var rows = groups.ToArray();
        var recomputes = profile.Calls.Any(c => c.Activity == Activity.Recompute);
        var width = Math.Max(title.Length, rows.Max(r => r.Key.Length));
        text.Append(title.PadRight(width));
        text.Append("   forward").Append(recomputes ? "  recomputed" : "").Append("  backward     other  share     calls      MiB    GB/s");
        text.AppendLine(Invariant($"   (ms, calls and MiB a {unit}; other: plan, report, update)"));
        foreach (var row in rows)
        {
            double seconds = row.Sum(c => c.Seconds), bytes = row.Sum(c => c.BytesRead + c.BytesWritten), speed = seconds > 0 ? bytes / seconds / 1e9 : 0;
            text.Append(row.Key.PadRight(width)).Append(Milliseconds(row, c => c is Activity.Forward));
            if (recomputes) text.Append("  ").Append(Milliseconds(row, c => c is Activity.Recompute));
            text.Append(Milliseconds(row, c => c is Activity.Backward)).Append(Milliseconds(row, c => c is Activity.Plan or Activity.Report or Activity.Update))
                .Append(Invariant($"{100 * seconds / profile.Seconds,6:F1}%{Each(profile, row.Sum(c => c.Calls)),10:F1}"))
                .AppendLine(Invariant($"{Each(profile, bytes) / MiB,9:F2}{speed,8:F1}"));
        }
        text.AppendLine();

        string Milliseconds(IEnumerable<ProfileLine> lines, Func<Activity, bool> which) =>
            Invariant($"{1e3 * Each(profile, lines.Where(c => which(c.Activity)).Sum(c => c.Seconds)),10:F3}");
    }

    /// <summary>What crosses between host and backend, and for whom.</summary>
    static void Traffic(StringBuilder text, Profile profile, string unit)
    {
        var crossing = profile.Calls.Where(c => c.Kernel is "Read" or "Write").GroupBy(c => (c.Activity, c.Kernel)).OrderBy(g => g.Key).ToArray();
        text.AppendLine(Invariant($"host and backend, a {unit}: {string.Join("; ", crossing.Select(Line))}"));

        string Line(IGrouping<(Activity Activity, string Kernel), ProfileLine> g)
        {
            var does = g.Key.Kernel == "Read" ? "reads" : "uploads";
            double times = Each(profile, g.Sum(c => c.Calls)), bytes = Each(profile, g.Sum(c => c.BytesRead + c.BytesWritten));
            return Invariant($"{Purpose(g.Key.Activity)} {does} {times:F1} times, {bytes / 1024:F1} KiB");
        }
    }

    static string Purpose(Activity activity) => activity switch
    {
        Activity.Plan => "the planner",
        Activity.Report => "the report",
        Activity.Update => "the update",
        Activity.Forward => "the model",
        Activity.Recompute => "recomputation",
        Activity.Backward => "the backward pass",
        _ => throw new ArgumentOutOfRangeException(nameof(activity), activity, "unknown activity"),
    };

    /// <summary>The part of the model, or what to call that which belongs to none.</summary>
    static string LayerOf(ProfileLine line) => line.Layer.Length > 0 ? line.Layer : line.Activity switch
    {
        Activity.Update => "optimizer",
        Activity.Report => "report",
        Activity.Plan => "planner",
        Activity.Forward or Activity.Recompute or Activity.Backward => "loss",
        _ => throw new ArgumentOutOfRangeException(nameof(line), line.Activity, "unknown activity"),
    };

    /// <summary>The order of the model: what comes before the blocks, the blocks by number, what comes after.</summary>
    static string Place(string layer)
    {
        if (layer == "embedding") return "0";
        if (!layer.StartsWith("blocks.", StringComparison.Ordinal)) return "2" + layer;
        var parts = layer.Split('.');
        return "1" + parts[1].PadLeft(9, '0') + string.Join('.', parts[2..]);
    }

    static double Each(Profile profile, double total) => total / profile.Steps;

    static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
