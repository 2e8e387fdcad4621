using System.Text;
using SparseExperts.Oracle;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>Tokens × experts as a picture: a column a token, a row an expert.</summary>
static class MeetingMap
{
    const int MostTokens = 96, MostShaded = 12_000, Shades = 6;
    const double Left = 52, Right = 950, Top = 6;

    /// <summary>The picture, and the tokens that it shows: all of them, or those around the one that matters.</summary>
    public static (string Svg, int From, int To) Draw(CheckPicture picture, int? token, int? expert)
    {
        var count = Math.Min(MostTokens, picture.Tokens);
        var from = Math.Clamp((token ?? 0) - count / 2, 0, picture.Tokens - count);
        double column = Math.Min(18, (Right - Left) / count), row = Math.Clamp(460.0 / picture.Experts, 3, 18);
        double X(int t) => Left + (t - from) * column;
        double Y(int e) => Top + e * row;
        double bottom = Y(picture.Experts), gap = row >= 7 && column >= 5 ? 1 : 0;

        var apart = Enumerable.Range(from * picture.Experts, count * picture.Experts).Count(i => picture.Claimed[i] != picture.Expected[i]);
        var shown = $"Tokens {from} to {from + count - 1} and the {picture.Experts} experts that they choose";
        var svg = new Svg(960, bottom + 26, $"{shown}; {apart} meetings are not as expected");
        Shade(svg, picture, from, count, X, Y, column, row);
        for (var t = from; t < from + count; t++)
        {
            if (!picture.IsReal[t]) svg.Rectangle("padding", X(t), Top, column, bottom - Top, $"token {t}: padding");
            if (t > from && t % picture.Size == 0) svg.Line("axis", X(t), Top, X(t), bottom + 4);
            for (var e = 0; e < picture.Experts; e++) Cell(svg, picture, t, e, X(t), Y(e), column - gap, row - gap);
        }
        if (token is { } marked && marked >= from && marked < from + count)
        {
            if (expert is { } known)
            {
                double x = X(marked) + column / 2, y = Y(known) + row / 2, radius = Math.Max(9, 0.8 * Math.Max(row, column));
                svg.Add($"<circle class=\"ring\" cx=\"{Pixel(x)}\" cy=\"{Pixel(y)}\" r=\"{Pixel(radius)}\"/>\n");
            }
            else svg.Rectangle("ring", X(marked) - 1, Top - 1, column + 1, bottom - Top + 2);
        }

        var every = new[] { 1, 2, 4, 8, 16, 32, 64, 128 }.FirstOrDefault(n => n * row >= 13, 256);
        for (var e = 0; e < picture.Experts; e += every) svg.Label("tick end", Left - 8, Y(e) + Math.Max(row, 8) / 2 + 4, $"{e}");
        var step = new[] { 1, 2, 5, 10, 20, 50 }.FirstOrDefault(n => n * column >= 34, 100);
        for (var t = from; t < from + count; t++)
        {
            var place = t % picture.Size;
            var name = picture.Groups > 1 && place == 0 ? $"g{t / picture.Size}" : $"{place}";
            if (place % step == 0) svg.Label("tick middle", X(t) + column / 2, bottom + 18, name);
        }
        return (svg.Close(), from, from + count);
    }

    static void Cell(Svg svg, CheckPicture picture, int t, int e, double x, double y, double width, double height)
    {
        var at = t * picture.Experts + e;
        var (claimed, expected) = (picture.Claimed[at], picture.Expected[at]);
        if (claimed == Meeting.Nothing && expected == Meeting.Nothing) return;
        var other = claimed == expected ? "" : $", expected {Text(expected)}";
        var title = $"token {t}, expert {e}: {Text(claimed)}{other}, score {Number(picture.Scores[at], "G4")}";
        if (claimed == Meeting.Nothing) svg.Cross("missing", x, y, width, height, title);
        else
        {
            var inset = claimed == Meeting.Dropped ? Math.Min(1, height / 4) : 0;
            var kind = (claimed == Meeting.Kept ? "kept" : "dropped") + (claimed == expected ? "" : " other");
            svg.Rectangle(kind, x + inset, y + inset, width - 2 * inset, height - 2 * inset, title);
        }
    }

    static string Text(Meeting meeting) => meeting switch
    {
        Meeting.Kept => "kept",
        Meeting.Dropped => "dropped",
        Meeting.Nothing => "not chosen",
        _ => throw new ArgumentOutOfRangeException(nameof(meeting), meeting, "unknown meeting"),
    };

    /// <summary>Scores as a grey behind: one path a shade, relative to the token's best.</summary>
    static void Shade(Svg svg, CheckPicture picture, int from, int count, Func<int, double> x, Func<int, double> y, double width, double height)
    {
        if (count * picture.Experts > MostShaded) return;
        var paths = new StringBuilder?[Shades + 1];
        for (var t = from; t < from + count; t++)
        {
            var scores = picture.Scores.AsSpan(t * picture.Experts, picture.Experts);
            double low = double.PositiveInfinity, high = double.NegativeInfinity;
            foreach (var s in scores)
                if (Usable(s)) (low, high) = (Math.Min(low, s), Math.Max(high, s));
            if (low >= 0) low = 0;
            if (!(high > low)) continue;
            for (var e = 0; e < scores.Length; e++)
            {
                if (!Usable(scores[e])) continue;
                var shade = (int)Math.Round((scores[e] - low) / (high - low) * Shades);
                if (shade > 0) (paths[shade] ??= new()).Append($"M{Pixel(x(t))} {Pixel(y(e))}h{Pixel(width)}v{Pixel(height)}h-{Pixel(width)}z");
            }
        }
        for (var shade = 1; shade <= Shades; shade++)
            if (paths[shade] is { } path) svg.Add($"<path class=\"shade\" opacity=\"{Pixel(shade * 0.5 / Shades)}\" d=\"{path}\"/>\n");
    }
}
