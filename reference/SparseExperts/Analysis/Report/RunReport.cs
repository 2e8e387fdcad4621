using System.Text.RegularExpressions;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>Writes a training run as one self-contained page: no scripts, nothing loaded from elsewhere.</summary>
public static class RunReport
{
    /// <summary>The page, well-formed both as HTML and as XML.</summary>
    public static string Html(RunReportData data)
    {
        ArgumentNullException.ThrowIfNull(data);
        ReportPoint[] points = [.. data.Points.OrderBy(point => point.Step)];
        return ReportPage.Html(data.Title, Tiles(points) + Loss(points) + Optimisation(points) + Routing(points) + ExpertSection.Html(points, data.Experts)
            + Sample(data.SampleText) + Settings(data.Configuration) + Notes(data.Notes));
    }

    static string Tiles(ReportPoint[] points)
    {
        var heldOut = ReportCurve.Of("", "", points, point => point.HeldOutBitsPerByte).Points;
        var speed = ReportCurve.Of("", "", points, point => point.TokensPerSecond).Values.Order().ToArray();
        var drops = ReportCurve.Of("", "", points, point => point.DropRate).Points;
        var last = points.LastOrDefault();
        var best = heldOut.Count > 0 ? heldOut.MinBy(point => point.Y) : ((double X, double Y)?)null;
        double? median = speed.Length > 0 ? (speed[(speed.Length - 1) / 2] + speed[speed.Length / 2]) / 2 : null;

        string Tile(string name, string value, string detail = "") =>
            $"<div><dt>{name}</dt><dd><b>{value}</b><span class=\"small\">{detail}</span></dd></div>\n";

        return "<dl class=\"tiles\">\n"
            + Tile("Final held-out loss", Number(heldOut.Count > 0 ? heldOut[^1].Y : null, "F3"), "bits per byte")
            + Tile("Best held-out loss", Number(best?.Y, "F3"), best is var (step, _) ? $"at step {Number(step, "N0")}" : "bits per byte")
            + Tile("Steps", Number(last?.Step, "N0"), points.Length == 1 ? "1 measurement" : $"{Number(points.Length, "N0")} measurements")
            + Tile("Time", Regex.Replace(Duration(last?.Seconds), " [a-z]+", "<small>$0</small>"),
                last is { Step: > 0, Seconds: > 0 } ? $"{Number(1000 * last.Seconds / last.Step, "#,0.#")} ms per step" : "")
            + Tile("Throughput", Number(median, "N0"), "tokens/s, median")
            + (drops.Count > 0 ? Tile("Dropped", Percent(drops[^1].Y, 2), "of routed tokens, last") : "")
            + "</dl>\n";
    }

    static string Loss(ReportPoint[] points)
    {
        var train = ReportCurve.Of("train", "var(--s0)", points, point => point.TrainBitsPerByte);
        var heldOut = ReportCurve.Of("held-out", "var(--s1)", points, point => point.HeldOutBitsPerByte) with { Dots = true };
        var smooth = train.Smooth();
        var values = ReportRange.Robust([.. smooth.Values, .. heldOut.Values]);
        if (heldOut.Points.Count > 0) { values = values with { High = Math.Max(values.High, heldOut.Points[^1].Y) }; }
        var above = train.Values.Concat(heldOut.Values).Count(value => value > values.High);
        var figure = Figure("Bits per byte", [train with { Faint = true }, smooth, heldOut], values, "F3", wide: true);
        var remarks = new List<string>();
        if (train.Points.Count >= 40) { remarks.Add("The strong training line is a moving average; the pale one is what was measured."); }
        var high = above == 1 ? "One value lies" : $"{Number(above, "N0")} values lie";
        if (above > 0) { remarks.Add($"{high} above the plot, which ends at {Number(values.High, "F2")}."); }
        var note = remarks.Count > 0 ? $"<p class=\"note\">{string.Join(' ', remarks)}</p>\n" : "";
        return "<section>\n<h2>Loss</h2>\n" + figure + note + "</section>\n";
    }

    static string Optimisation(ReportPoint[] points)
    {
        var speed = ReportCurve.Of("throughput", "var(--s2)", points, point => point.TokensPerSecond);
        var rate = ReportCurve.Of("learning rate", "var(--s3)", points, point => point.LearningRate);
        var norm = ReportCurve.Of("gradient norm", "var(--s4)", points, point => point.GradientNorm);
        return "<section>\n<h2>Speed and optimisation</h2>\n<div class=\"grid thirds\">\n"
            + Figure("Tokens per second", [.. speed.WithTrend()], ReportRange.Cover(speed.Values, fromZero: true), "N0", small: true)
            + Figure("Learning rate", [rate], ReportRange.Cover(rate.Values, fromZero: true), "0.##e0;-0.##e0;0", small: true)
            + Figure("Gradient norm", [.. norm.WithTrend()], ReportRange.Robust([.. norm.Values], fromZero: true), "0.###", small: true)
            + "</div>\n</section>\n";
    }

    static string Routing(ReportPoint[] points)
    {
        var entropy = PerLayer(points, point => point.LayerRouterEntropy, point => point.RouterEntropy);
        var drops = PerLayer(points, point => point.LayerDropRate, point => point.DropRate, factor: 100);
        if (entropy.Length + drops.Length == 0) { return ""; }
        var experts = points.SelectMany(point => point.Load ?? []).Select(load => load?.Length ?? 0).DefaultIfEmpty().Max();
        double? most = experts > 1 ? Math.Log2(experts) : null;
        var bits = entropy.SelectMany(curve => curve.Values);
        return "<section>\n<h2>Routing</h2>\n<div class=\"grid\">\n"
            + Figure("Router entropy, bits", entropy, ReportRange.Cover(most is { } top ? bits.Append(top) : bits), "F2",
                reference: most is { } even ? (even, $"uniform: {Number(even, "0.##")}") : null)
            + Figure("Dropped tokens", drops, ReportRange.Cover(drops.SelectMany(curve => curve.Values), fromZero: true), "F2", suffix: "%")
            + "</div>\n</section>\n";
    }

    /// <summary>One curve per sparse layer, or the mean over the layers where only that was measured.</summary>
    static ReportCurve[] PerLayer(ReportPoint[] points, Func<ReportPoint, double[]?> layers, Func<ReportPoint, double?> mean, double factor = 1)
    {
        var count = points.Select(point => layers(point)?.Length ?? 0).DefaultIfEmpty().Max();
        var curves = count == 0
            ? [ReportCurve.Of("all layers", "var(--s0)", points, point => factor * mean(point))]
            : Enumerable.Range(0, count).Select(layer => ReportCurve.Of($"layer {layer}", ReportStyle.Colour(layer, count), points,
                point => layers(point) is { } values && layer < values.Length ? factor * values[layer] : null));
        return [.. curves.Where(curve => curve.Points.Count > 0).SelectMany(curve => curve.WithTrend())];
    }

    static string Figure(
        string title, IReadOnlyList<ReportCurve> curves, ReportRange values, string format,
        bool wide = false, bool small = false, string suffix = "", (double, string)? reference = null)
    {
        var shown = curves.Where(curve => !curve.Faint && curve.Points.Count > 0).ToArray();
        string Value(double value) => Number(value, format) + suffix;
        var legend = string.Concat(shown.Select(curve =>
            $"<li><i style=\"background:{curve.Colour}\"></i>{(shown.Length > 1 || wide ? curve.Name : "last")} <b>{Value(curve.Last)}</b></li>"));
        var highest = curves.SelectMany(curve => curve.Values).DefaultIfEmpty().Max();
        if (!wide && highest > values.High) { legend += $"<li>peak <b>{Value(highest)}</b></li>"; }
        var steps = ReportRange.Exact(curves.SelectMany(curve => curve.Points).Select(point => point.X));
        var drawable = steps.High > steps.Low && shown.Any(curve => curve.Points.Count > 1);
        var label = drawable
            ? $"{title} from step {Number(steps.Low, "N0")} to {Number(steps.High, "N0")}: "
                + string.Join("; ", shown.Select(curve => $"{curve.Name} from {Value(curve.Points[0].Y)} to {Value(curve.Last)}"))
            : title;
        var width = wide ? 960 : small ? 304 : 470;
        var height = wide ? 330 : small ? 190 : 230;
        var chart = new LineChart(label, curves, steps, values) { Width = width, Height = height, Format = format, Suffix = suffix, Reference = reference };
        var picture = drawable ? $"<div class=\"scroll\">{Svg.Draw(chart)}</div>" : "<p class=\"empty\">not enough points</p>";
        if (legend != "") { legend = $"<ul class=\"legend\">{legend}</ul>"; }
        return $"<figure{(wide ? " class=\"wide\"" : "")}>\n<figcaption><h3>{title}</h3>{legend}</figcaption>\n{picture}\n</figure>\n";
    }

    static string Sample(string text) =>
        string.IsNullOrEmpty(text) ? "" : $"<section>\n<h2>Generated sample</h2>\n<pre>{Escape(text)}</pre>\n</section>\n";

    static string Settings(IReadOnlyList<(string Key, string Value)> settings) =>
        settings.Count == 0 ? "" : "<section>\n<h2>Configuration</h2>\n<table class=\"settings\">\n<caption>Settings of the run</caption>\n<tbody>\n"
            + string.Concat(settings.Select(setting => $"<tr><th scope=\"row\">{Escape(setting.Key)}</th><td>{Escape(setting.Value)}</td></tr>\n"))
            + "</tbody>\n</table>\n</section>\n";

    static string Notes(IReadOnlyList<string> notes) =>
        notes.Count == 0 ? "" : "<section>\n<h2>Notes</h2>\n" + string.Concat(notes.Select(note => $"<p>{Escape(note)}</p>\n")) + "</section>\n";
}
