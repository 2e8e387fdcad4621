using SparseExperts.Oracle;
using static SparseExperts.Analysis.ReportText;

namespace SparseExperts.Analysis;

/// <summary>What every expert was asked to take and took, against its capacity.</summary>
static class LoadBars
{
    const int MostRows = 96;
    const double Left = 136, Right = 940, Top = 6;

    public static string Draw(CheckPicture picture)
    {
        // Group by group while they fit, else all groups together.
        var apart = picture.Groups == 1 || picture.Groups * picture.Experts <= MostRows;
        var groups = apart ? picture.Groups : 1;
        int Sum(int[] counts, int row) => apart ? counts[row] : Enumerable.Range(0, picture.Groups).Sum(g => counts[g * picture.Experts + row]);
        var capacity = picture.Capacity is { } slots ? (double)slots * (apart ? 1 : picture.Groups) : (double?)null;
        int[] Sums(int[] counts) => [.. Enumerable.Range(0, groups * picture.Experts).Select(r => Sum(counts, r))];
        int[] requested = Sums(picture.Requested), taken = Sums(picture.Taken);

        double row = Math.Clamp(460.0 / requested.Length, 4, 18), bottom = Top + requested.Length * row, gap = row >= 7 ? 1 : 0;
        var range = new ReportRange(0, 1.04 * Math.Max(1, Math.Max(requested.Max(), capacity is { } c && c <= 3 * requested.Max() ? c : 0)));
        double X(double value) => Left + range.At(value) * (Right - Left);
        var svg = new Svg(960, bottom + 26, $"Choices of every expert, from {requested.Min()} to {requested.Max()}, and those that were kept");
        var ticks = range.Ticks(8, whole: true);
        var labels = TickLabels(ticks);
        for (var i = 0; i < ticks.Length; i++)
        {
            svg.Line("grid", X(ticks[i]), Top, X(ticks[i]), bottom);
            svg.Label("tick middle", X(ticks[i]), bottom + 18, labels[i]);
        }
        var every = new[] { 1, 2, 4, 8, 16, 32 }.FirstOrDefault(n => n * row >= 13, 64);
        for (var r = 0; r < requested.Length; r++)
        {
            var y = Top + r * row;
            var name = $"{(groups > 1 ? $"group {r / picture.Experts}, " : "")}expert {r % picture.Experts}";
            if (r % every == 0) svg.Label("tick end", Left - 8, y + Math.Max(row, 8) / 2 + 4, name);
            if (r > 0 && r % picture.Experts == 0) svg.Line("axis", 0, y, Right, y);
            svg.Rectangle("wanted", Left, y, X(requested[r]) - Left, row - gap, $"{name}: {requested[r]} choices");
            svg.Rectangle("kept", Left, y, X(taken[r]) - Left, row - gap, $"{name}: {taken[r]} of {requested[r]} choices kept");
        }
        if (capacity is { } limit && limit <= range.High) svg.Line("reference", X(limit), Top, X(limit), bottom);
        return svg.Close();
    }
}

/// <summary>How many tokens decide by how much, a column a power of ten.</summary>
static class MarginBars
{
    const double Left = 52, Right = 950, Top = 10, Height = 150;

    public static string Draw(IReadOnlyList<Margin> margins)
    {
        int Power(double margin) => margin <= 0 ? int.MinValue : (int)Math.Floor(Math.Log10(margin));
        var powers = margins.Where(m => m.Value > 0).Select(m => Power(m.Value)).DefaultIfEmpty(0).ToArray();
        int low = Math.Max(powers.Min(), powers.Max() - 14), high = powers.Max(), ties = margins.Count(m => m.Value <= 0);
        // The first column holds ties.
        int[] counts = [ties, .. Enumerable.Range(low, high - low + 1).Select(p => margins.Count(m => m.Value > 0 && Math.Max(low, Power(m.Value)) == p))];
        double width = Math.Min(90, (Right - Left) / counts.Length), bottom = Top + Height;
        var range = new ReportRange(0, 1.06 * counts.Max());
        double Y(double count) => bottom - range.At(count) * Height;
        var svg = new Svg(960, bottom + 28, $"Margins of {margins.Count} tokens; {ties} are tied");
        var ticks = range.Ticks(4, whole: true);
        var labels = TickLabels(ticks);
        for (var i = 0; i < ticks.Length; i++)
        {
            svg.Line("grid", Left, Y(ticks[i]), Left + width * counts.Length, Y(ticks[i]));
            svg.Label("tick end", Left - 8, Y(ticks[i]) + 4, labels[i]);
        }
        for (var i = 0; i < counts.Length; i++)
        {
            var name = i == 0 ? "tied" : $"1e{low + i - 1}".Replace('-', '−');
            var top = Y(counts[i]);
            svg.Rectangle("kept", Left + i * width + 2, top, width - 4, bottom - top, $"{(i == 0 ? "tied" : $"margin from {name}")}: {counts[i]} tokens");
            svg.Label("tick middle", Left + (i + 0.5) * width, bottom + 18, i == 0 ? name : $"≥{name}");
        }
        svg.Line("axis", Left, bottom, Left + width * counts.Length, bottom);
        return svg.Close();
    }
}
