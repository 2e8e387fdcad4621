using System.Globalization;
using System.Text;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>What a line chart shows.</summary>
/// <param name="Label">A sentence for those who cannot see the chart.</param>
/// <param name="Curves">The lines, the last on top.</param>
/// <param name="Steps">The steps along the x axis.</param>
/// <param name="Values">The values along the y axis.</param>
sealed record LineChart(string Label, IReadOnlyList<ReportCurve> Curves, ReportRange Steps, ReportRange Values)
{
    public double Width { get; init; } = 470;

    public double Height { get; init; } = 230;

    /// <summary>How single values are written.</summary>
    public string Format { get; init; } = "0.###";

    /// <summary>Written behind each y tick and value.</summary>
    public string Suffix { get; init; } = "";

    /// <summary>A value to mark with a dashed line, and its name.</summary>
    public (double Value, string Name)? Reference { get; init; }
}

/// <summary>What a load map shows: load over the steps on the left, final load on the right.</summary>
/// <param name="Label">A sentence for those who cannot see the chart.</param>
/// <param name="Steps">The steps along the x axis.</param>
/// <param name="Columns">Where each column begins and ends, and the load of each expert in it, 1 being uniform.</param>
/// <param name="Final">The load of each expert at the end, 1 being uniform.</param>
sealed record LoadMap(
    string Label,
    ReportRange Steps,
    IReadOnlyList<(double From, double To, double[] Load)> Columns,
    IReadOnlyList<double> Final);

/// <summary>Draws charts as SVG; colours and fonts come from the style sheet of the page.</summary>
sealed class Svg
{
    /// <summary>Colours of a load map, from a quarter of the uniform load to four times as much.</summary>
    public const int Levels = 17;

    readonly StringBuilder _text = new();

    public Svg(double width, double height, string label) =>
        Add($"<svg class=\"chart\" role=\"img\" aria-label=\"{Escape(label)}\" viewBox=\"0 0 {Pixel(width)} {Pixel(height)}\">\n");

    /// <summary>A chart of lines over steps.</summary>
    public static string Draw(LineChart chart)
    {
        var svg = new Svg(chart.Width, chart.Height, chart.Label);
        var (left, top, right, bottom) = (52.0, 12.0, chart.Width - 12, chart.Height - 26);
        double X(double step) => left + chart.Steps.At(step) * (right - left);
        double Y(double value) => bottom - chart.Values.At(value) * (bottom - top);

        var ticks = chart.Values.Ticks((int)((bottom - top) / 36));
        var labels = TickLabels(ticks, chart.Suffix);
        for (var index = 0; index < ticks.Length; index++)
        {
            svg.Line("grid", left, Y(ticks[index]), right, Y(ticks[index]));
            svg.Label("tick end", left - 8, Y(ticks[index]) + 4, labels[index]);
        }

        svg.StepAxis(chart.Steps, left, right, bottom);
        if (chart.Reference is var (value, name) && chart.Values.At(value) is >= 0 and <= 1)
        {
            svg.Line("reference", left, Y(value), right, Y(value));
            svg.Label("tick end", right - 2, Y(value) + (Y(value) - top > 18 ? -5 : 14), name);
        }

        // The inner svg clips whatever leaves the plot, without needing ids.
        var clip = $"{Pixel(left - 2)} {Pixel(top - 2)} {Pixel(right - left + 4)} {Pixel(bottom - top + 4)}";
        if (clip.Split(' ') is [var x, var y, var width, var height])
        {
            svg.Add($"<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" viewBox=\"{clip}\">\n");
        }

        foreach (var curve in chart.Curves.Where(curve => curve.Points.Count > 1))
        {
            var path = string.Join('L', curve.Thin().Points.Select(point => $"{Pixel(X(point.X))} {Pixel(Y(point.Y))}"));
            svg.Add($"<path class=\"{(curve.Faint ? "line faint" : "line")}\" style=\"stroke:{curve.Colour}\" d=\"M{path}\"/>\n");
        }

        svg.Add($"</svg>\n");
        foreach (var curve in chart.Curves.Where(curve => !curve.Faint && curve.Points.Count > 0))
        {
            var few = curve.Dots && curve.Points.Count <= 80;
            foreach (var point in few ? curve.Points : [curve.Points[^1]])
            {
                if (chart.Values.At(point.Y) is < 0 or > 1) { continue; }
                svg.Add($"<circle class=\"dot\" style=\"fill:{curve.Colour}\" cx=\"{Pixel(X(point.X))}\" cy=\"{Pixel(Y(point.Y))}\" r=\"3.2\">");
                svg.Add($"<title>{Escape(curve.Name)}, step {Number(point.X, "N0")}: {Number(point.Y, chart.Format)}{chart.Suffix}</title></circle>\n");
            }
        }

        return svg.Close();
    }

    /// <summary>A heat map of expert load with the final load as bars beside it, row by row.</summary>
    public static string Draw(LoadMap map)
    {
        const double Left = 52, Right = 660, BarLeft = 690, BarRight = 940, Top = 6;
        var experts = map.Final.Count;
        var row = Math.Clamp(420.0 / experts, 2.5, 17);
        var gap = row >= 7 ? 1 : 0;
        var bottom = Top + experts * row;
        var svg = new Svg(960, bottom + 26, map.Label);
        double X(double step) => Left + map.Steps.At(step) * (Right - Left);

        var every = new[] { 1, 2, 4, 8, 16, 32, 64, 128 }.FirstOrDefault(count => count * row >= 13, 256);
        for (var expert = 0; expert < experts; expert += every)
        {
            svg.Label("tick end", Left - 8, Top + expert * row + Math.Max(row, 8) / 2 + 4, $"{expert}");
        }

        foreach (var (level, path) in Cells(map, X, expert => Top + expert * row, row - gap))
        {
            svg.Add($"<path class=\"cell h{level}\" d=\"{path}\"/>\n");
        }

        svg.StepAxis(map.Steps, Left, Right, bottom);

        var load = ReportRange.Exact([0, 2, .. map.Final.Select(value => value * 1.04)]);
        double Bar(double value) => BarLeft + load.At(value) * (BarRight - BarLeft);
        var ticks = load.Ticks(4);
        var labels = TickLabels(ticks, "×");
        for (var index = 0; index < ticks.Length; index++)
        {
            svg.Line("grid", Bar(ticks[index]), Top, Bar(ticks[index]), bottom);
            svg.Label("tick middle", Bar(ticks[index]), bottom + 18, labels[index]);
        }

        for (var expert = 0; expert < experts; expert++)
        {
            var (y, width) = (Top + expert * row, Bar(map.Final[expert]) - BarLeft);
            svg.Add($"<rect class=\"h{Level(map.Final[expert])} bar\" x=\"{Pixel(BarLeft)}\" y=\"{Pixel(y)}\"");
            svg.Add($" width=\"{Pixel(width)}\" height=\"{Pixel(row - gap)}\">");
            svg.Add($"<title>expert {expert}: {Number(map.Final[expert], "F2")}× the uniform load</title></rect>\n");
        }

        svg.Line("reference", Bar(1), Top, Bar(1), bottom);
        return svg.Close();
    }

    /// <summary>The colour of a load: logarithmic, the middle being uniform.</summary>
    static int Level(double load) => (int)Math.Round((Math.Clamp(Math.Log2(Math.Max(load, 1e-9)), -2, 2) + 2) / 4 * (Levels - 1));

    /// <summary>One path per colour; neighbours of the same colour in a row become one rectangle.</summary>
    static IEnumerable<(int Level, StringBuilder Path)> Cells(LoadMap map, Func<double, double> x, Func<int, double> y, double height)
    {
        var paths = new SortedDictionary<int, StringBuilder>();
        int? LevelAt(int column, int expert) =>
            expert < map.Columns[column].Load.Length && Usable(map.Columns[column].Load[expert]) ? Level(map.Columns[column].Load[expert]) : null;

        for (var expert = 0; expert < map.Final.Count; expert++)
        {
            for (int first = 0, next; first < map.Columns.Count; first = next)
            {
                var level = LevelAt(first, expert);
                for (next = first + 1; next < map.Columns.Count && LevelAt(next, expert) == level; next++) { }
                if (level is not { } known) { continue; }
                var (from, to) = (x(map.Columns[first].From), x(map.Columns[next - 1].To));
                if (!paths.TryGetValue(known, out var path)) { paths[known] = path = new(); }
                path.Append(CultureInfo.InvariantCulture, $"M{Pixel(from)} {Pixel(y(expert))}H{Pixel(to)}v{Pixel(height)}H{Pixel(from)}z");
            }
        }

        return paths.Select(pair => (pair.Key, pair.Value));
    }

    void StepAxis(ReportRange steps, double left, double right, double bottom)
    {
        var ticks = steps.Ticks((int)((right - left) / 75), whole: true);
        var labels = TickLabels(ticks);
        Line("axis", left, bottom, right, bottom);
        Label("tick end", left - 14, bottom + 18, "step");
        for (var index = 0; index < ticks.Length; index++)
        {
            var x = left + steps.At(ticks[index]) * (right - left);
            Line("axis", x, bottom, x, bottom + 4);
            Label(x > right - 12 ? "tick end" : "tick middle", x > right - 12 ? right + 6 : x, bottom + 18, labels[index]);
        }
    }

    public void Line(string kind, double x1, double y1, double x2, double y2) =>
        Add($"<line class=\"{kind}\" x1=\"{Pixel(x1)}\" y1=\"{Pixel(y1)}\" x2=\"{Pixel(x2)}\" y2=\"{Pixel(y2)}\"/>\n");

    /// <param name="title">What is said of it when somebody points at it.</param>
    public void Rectangle(string kind, double x, double y, double width, double height, string? title = null)
    {
        Add($"<rect class=\"{kind}\" x=\"{Pixel(x)}\" y=\"{Pixel(y)}\" width=\"{Pixel(width)}\" height=\"{Pixel(height)}\"");
        if (title is null) Add($"/>\n");
        else Add($"><title>{Escape(title)}</title></rect>\n");
    }

    /// <summary>A cross from corner to corner, a little inside.</summary>
    public void Cross(string kind, double x, double y, double width, double height, string title)
    {
        string left = Pixel(x + 1), right = Pixel(x + width - 1), top = Pixel(y + 1), bottom = Pixel(y + height - 1);
        Add($"<path class=\"{kind}\" d=\"M{left} {top}L{right} {bottom}M{right} {top}L{left} {bottom}\"><title>{Escape(title)}</title></path>\n");
    }

    public void Label(string kind, double x, double y, string text) =>
        Add($"<text class=\"{kind}\" x=\"{Pixel(x)}\" y=\"{Pixel(y)}\">{Escape(text)}</text>\n");

    public void Add(FormattableString text) => _text.Append(text.ToString(CultureInfo.InvariantCulture));

    public string Close() => _text.Append("</svg>\n").ToString();
}
