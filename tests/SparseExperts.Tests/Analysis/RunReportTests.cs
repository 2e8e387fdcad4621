using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using SparseExperts.Analysis;
using Xunit;

namespace SparseExperts.Tests.Analysis;

public class RunReportTests
{
    const string Hostile = "</pre><script>alert('x')</script>&\"\u0000\u0007\u001b\u0085\ud800 \udc00\uffff\u202e]]>-->";

    [Fact]
    public void The_page_is_well_formed_and_complete()
    {
        var page = Parse(RunReport.Html(Run(60, layers: 3, experts: 16)));
        string[] expected = ["Loss", "Speed and optimisation", "Routing", "Expert load", "What the experts received",
            "Generated sample", "Configuration", "Notes"];
        Assert.Equal(expected, page.Descendants("h2").Select(heading => heading.Value));
        Assert.Equal(3, page.Descendants("table").Count(table => (string?)table.Attribute("class") == "experts"));
    }

    [Fact]
    public void The_page_needs_nothing_from_outside_and_no_script()
    {
        var html = RunReport.Html(Run(60, layers: 2, experts: 8));
        Assert.DoesNotContain("http", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<script", html);
        Assert.DoesNotMatch(@"url\(|@import|\b(src|href)=", html);
    }

    [Fact]
    public void Every_chart_has_a_description_and_every_table_a_caption()
    {
        var page = Parse(RunReport.Html(Run(60, layers: 2, experts: 8)));
        var charts = page.Descendants("svg").Where(svg => (string?)svg.Attribute("class") == "chart").ToArray();
        Assert.Equal(8, charts.Length);
        Assert.All(charts, chart =>
        {
            Assert.Equal("img", (string?)chart.Attribute("role"));
            Assert.True(chart.Attribute("aria-label")?.Value.Length > 10);
        });
        Assert.All(page.Descendants("table"), table => Assert.NotNull(table.Element("caption")));
    }

    [Fact]
    public void Hostile_text_is_escaped_wherever_it_appears()
    {
        var html = RunReport.Html(new(
            Hostile, [(Hostile, Hostile)], Run(3, 1, 2).Points, Hostile, [new(0, 0, 0.5, [(Hostile, 0.5)], [Hostile])], [Hostile]));
        var page = Parse(html);
        Assert.Empty(page.Descendants("script"));
        Assert.DoesNotContain(html, character => char.IsSurrogate(character) || (char.IsControl(character) && character != '\n'));
        Assert.Contains("</pre><script>alert('x')</script>&\"\uFFFD\uFFFD\uFFFD", page.Descendants("pre").Single().Value);
        Assert.Contains("\\x00\\x07\\x1b", page.Descendants("ul").Single(list => (string?)list.Attribute("class") == "tokens").Value);
    }

    [Fact]
    public void Invisible_characters_of_tokens_are_shown()
    {
        var html = RunReport.Html(new("run", [], [], "", [new(0, 0, 1, [(" a\n", 1)], [])], []));
        Assert.Contains("<code>␣a⏎</code>", html);
    }

    [Fact]
    public void A_dense_run_leaves_the_expert_parts_out()
    {
        var html = RunReport.Html(Run(60, layers: 0, experts: 0));
        Parse(html);
        Assert.Contains("a dense run has no experts", html);
        Assert.DoesNotContain("Routing", html);
        Assert.DoesNotContain("Expert load", html);
        Assert.DoesNotContain("Dropped", html);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 2)]
    [InlineData(1, 0)]
    [InlineData(1, 2)]
    public void A_run_too_short_for_a_line_says_so(int points, int layers)
    {
        var html = RunReport.Html(Run(points, layers, experts: 4));
        Parse(html);
        Assert.Contains("not enough points", html);
        AssertFinite(html);
    }

    [Fact]
    public void Measurements_that_are_not_finite_never_reach_the_page()
    {
        double[] strange = [double.NaN, double.PositiveInfinity, double.NegativeInfinity, double.MaxValue, double.MinValue, 0, -1];
        ReportPoint[] points = [.. strange.Select((x, step) => new ReportPoint(
            step, x, x, x, x, x, x, x, x, step % 2 == 0 ? [[x, 0.5], [0.5, x, x]] : [[x], null!], [x, x], [x]))];
        var html = RunReport.Html(new("run", [], points, "", [new(0, 0, double.NaN, [("a", double.NaN)], [])], []));
        Parse(html);
        AssertFinite(html);
    }

    [Fact]
    public void A_constant_run_still_has_ticks_and_finite_coordinates()
    {
        ReportPoint[] points = [.. Enumerable.Range(0, 10).Select(step => new ReportPoint(step, step, 2, 2, 0, 0, 0, 0, 5))];
        var html = RunReport.Html(new("run", [], points, "", [], []));
        AssertFinite(html);
        Assert.All(Parse(html).Descendants("svg").Where(svg => svg.Attribute("class") is not null), svg => Assert.True(svg.Elements("text").Count() > 3));
    }

    [Fact]
    public void Repeated_and_unordered_steps_are_drawn_without_division_by_zero()
    {
        ReportPoint[] same = [.. Enumerable.Range(0, 4).Select(_ => new ReportPoint(7, 1, 2, 2, 3, 0.1, 1, 1e-3, 5, [[0.5, 0.5]]))];
        AssertFinite(RunReport.Html(new("run", [], same, "", [], [])));
        AssertFinite(RunReport.Html(new("run", [], [.. Run(20, 1, 4).Points.Reverse()], "", [], [])));
    }

    [Fact]
    public void Long_runs_are_thinned_out_but_keep_their_extremes()
    {
        ReportPoint[] points = [.. Enumerable.Range(0, 20_000).Select(step => new ReportPoint(step, step, TokensPerSecond: step == 12_345 ? 0 : 1000))];
        var page = Parse(RunReport.Html(new("run", [], points, "", [], [])));
        var path = page.Descendants("path").First().Attribute("d")!.Value;
        Assert.InRange(path.Split('L').Length, 2, 601);
        var lowest = path[1..].Split('L').Max(point => double.Parse(point.Split(' ')[1], CultureInfo.InvariantCulture));
        Assert.Equal(164, lowest); // the bottom of the plot: zero tokens per second
    }

    [Fact]
    public void Tall_first_losses_do_not_flatten_the_rest()
    {
        ReportPoint[] points = [.. Enumerable.Range(0, 100).Select(step => new ReportPoint(step, step, step < 2 ? 400 : 2 + 1.0 / step))];
        var html = RunReport.Html(new("run", [], points, "", [], []));
        Assert.Contains("above the plot", html);
        Assert.DoesNotContain(">400</text>", html);
    }

    [Fact]
    public void Numbers_do_not_depend_on_the_culture_of_the_machine()
    {
        var before = CultureInfo.CurrentCulture;
        try
        {
            var expected = RunReport.Html(Run(30, 2, 8));
            var other = new CultureInfo("") { NumberFormat = { NumberDecimalSeparator = ",", NumberGroupSeparator = ".", NegativeSign = "~" } };
            CultureInfo.CurrentCulture = other;
            Assert.Equal(expected, RunReport.Html(Run(30, 2, 8)));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    static RunReportData Run(int count, int layers, int experts)
    {
        double[]? PerLayer(double value) => layers == 0 ? null : [.. Enumerable.Range(0, layers).Select(layer => value / (layer + 1))];
        double[][]? Load(int step) => layers == 0 ? null : [.. Enumerable.Range(0, layers).Select(_ =>
            Enumerable.Range(0, experts).Select(expert => (1 + 0.5 * Math.Sin(step + expert)) / experts).ToArray())];
        ReportPoint[] points = [.. Enumerable.Range(0, count).Select(step => new ReportPoint(
            step * 100, step * 2.5, 2 + 6.0 / (step + 1), step % 5 == 0 ? 2.1 + 6.0 / (step + 1) : null, 12_000 + step,
            layers == 0 ? null : 0.01, layers == 0 ? null : 1.5, 3e-4, 1.2, Load(step), PerLayer(0.02), PerLayer(1.5)))];
        var summaries = from layer in Enumerable.Range(0, layers)
                        from expert in Enumerable.Range(0, experts)
                        select new ExpertSummary(layer, expert, 1.0 / experts, [(" the", 0.2), ("e", 0.1)], ["in the end"]);
        return new("A run", [("seed", "1")], points, "Once upon a time", [.. summaries], ["A note."]);
    }

    static XDocument Parse(string html)
    {
        using var reader = XmlReader.Create(new StringReader(html), new() { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader);
    }

    static void AssertFinite(string html)
    {
        Assert.DoesNotContain("NaN", html);
        Assert.DoesNotContain("Infinity", html);
        Assert.DoesNotContain("∞", html);
        Assert.DoesNotMatch(new Regex("[\"' ]-?[0-9.]+E[+-]?[0-9]"), html);
    }
}
