using System.Text;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>The part of a report that is about experts: their load over the run and what they received.</summary>
static class ExpertSection
{
    const int MostColumns = 120, MostOpenRows = 64;

    /// <summary>Load maps and tables, or one sentence for a run without experts.</summary>
    public static string Html(ReportPoint[] points, IReadOnlyList<ExpertSummary> experts)
    {
        var layers = points.Select(point => point.Load?.Length ?? 0).DefaultIfEmpty().Max();
        var maps = string.Concat(Enumerable.Range(0, layers).Select(layer => Map(points, layer)));
        if (maps == "" && experts.Count == 0)
        {
            return "<section>\n<h2>Experts</h2>\n<p>No expert load was recorded: a dense run has no experts to show.</p>\n</section>\n";
        }

        return (maps == "" ? "" : "<section>\n<h2>Expert load</h2>\n<p class=\"note\">Each row is one expert; colour is its share of the tokens relative to"
            + " an even split. The bars show the last measurement, the dashed line an even split.</p>\n" + Scale() + maps + "</section>\n")
            + (experts.Count == 0 ? "" : "<section>\n<h2>What the experts received</h2>\n" + Tables(experts) + "</section>\n");
    }

    static string Scale() =>
        "<div class=\"scale\"><div>" + string.Concat(Enumerable.Range(0, Svg.Levels).Select(level => $"<i class=\"h{level}\"></i>"))
        + "</div><div><span>≤¼×</span><span>½×</span><span>1×</span><span>2×</span><span>≥4×</span></div></div>\n";

    static string Map(ReportPoint[] points, int layer)
    {
        var measured = points.Where(point => point.Load is { } load && layer < load.Length && load[layer] is { Length: > 0 }).ToArray();
        if (measured.Length == 0) { return ""; }
        var experts = measured.Max(point => point.Load![layer].Length);

        var buckets = measured.Chunk((measured.Length + MostColumns - 1) / MostColumns).ToArray();
        double[] centres = [.. buckets.Select(bucket => bucket.Average(point => (double)point.Step))];
        var steps = new ReportRange(measured[0].Step, measured[^1].Step);
        if (steps.High <= steps.Low) { steps = new(steps.Low - 0.5, steps.Low + 0.5); }
        var columns = buckets.Select((bucket, index) => (
            index == 0 ? steps.Low : (centres[index - 1] + centres[index]) / 2,
            index == buckets.Length - 1 ? steps.High : (centres[index] + centres[index + 1]) / 2,
            Mean(bucket, layer, experts))).ToArray();

        double[] final = [.. Mean([measured[^1]], layer, experts).Select(load => Usable(load) ? Math.Max(0, load) : 0)];
        var (low, high) = (final.Min(), final.Max());
        var (idlest, busiest) = (Array.IndexOf(final, low), Array.IndexOf(final, high));
        var label = $"Load of the {experts} experts of layer {layer} over the steps;"
            + $" at the end from {Number(low, "F2")} to {Number(high, "F2")} times the even split";
        var facts = $"<li>busiest: expert {busiest} <b>{Number(high, "F2")}×</b></li><li>idlest: expert {idlest} <b>{Number(low, "F2")}×</b></li>";
        return $"<figure class=\"wide\">\n<figcaption><h3>Layer {layer}</h3><ul class=\"legend\">{facts}</ul></figcaption>\n"
            + $"<div class=\"scroll\">{Svg.Draw(new LoadMap(label, steps, columns, final))}</div>\n</figure>\n";
    }

    /// <summary>The mean load of each expert in one layer relative to an even split; not a number where nothing was measured.</summary>
    static double[] Mean(ReportPoint[] points, int layer, int experts) =>
        [.. Enumerable.Range(0, experts).Select(expert => experts * points
            .Select(point => expert < point.Load![layer].Length ? point.Load[layer][expert] : double.NaN)
            .Where(Usable).DefaultIfEmpty(double.NaN).Average())];

    static string Tables(IReadOnlyList<ExpertSummary> experts)
    {
        var open = experts.Count <= MostOpenRows;
        var text = new StringBuilder();
        foreach (var layer in experts.GroupBy(expert => expert.Layer).OrderBy(group => group.Key))
        {
            ExpertSummary[] rows = [.. layer.OrderBy(expert => expert.Expert)];
            var busiest = rows.Max(expert => expert.Share);
            var commonest = rows.SelectMany(expert => expert.TopTokens).Select(token => token.Share).DefaultIfEmpty().Max();
            text.Append($"<details{(open || text.Length == 0 ? " open=\"open\"" : "")}>\n<summary>Layer {layer.Key}</summary>\n")
                .Append($"<table class=\"experts\">\n<caption>Share of the tokens of layer {layer.Key} and the most frequent tokens of each expert</caption>\n")
                .Append("<thead><tr><th scope=\"col\">Expert</th><th scope=\"col\">Share</th>")
                .Append("<th scope=\"col\">Most frequent tokens</th></tr></thead>\n<tbody>\n");
            foreach (var expert in rows)
            {
                text.Append($"<tr><th scope=\"row\">{expert.Expert}</th><td>"
                    + $"<span class=\"meter\">{Bar(expert.Share, busiest)}</span>{Percent(expert.Share)}</td>")
                    .Append($"<td>{Tokens(expert, commonest)}{Examples(expert)}</td></tr>\n");
            }

            text.Append("</tbody>\n</table>\n</details>\n");
        }

        return text.ToString();
    }

    static string Tokens(ExpertSummary expert, double commonest) =>
        expert.TopTokens.Count == 0 ? Missing : "<ul class=\"tokens\">" + string.Concat(expert.TopTokens.Select(token =>
            $"<li><code>{Token(token.Token)}</code><small>{Percent(token.Share)}</small>{Bar(token.Share, commonest)}</li>")) + "</ul>";

    static string Examples(ExpertSummary expert) =>
        expert.Examples.Count == 0 ? "" : $"<details><summary>{expert.Examples.Count} example{(expert.Examples.Count == 1 ? "" : "s")}</summary>"
            + string.Concat(expert.Examples.Select(example => $"<code>{Token(example)}</code>")) + "</details>";

    static string Bar(double share, double largest) =>
        $"<i style=\"width:{Pixel(largest > 0 ? 100 * Math.Clamp(share / largest, 0, 1) : 0)}%\"></i>";
}
