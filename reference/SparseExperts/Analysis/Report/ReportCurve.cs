namespace SparseExperts.Analysis;

/// <summary>One line of a chart.</summary>
/// <param name="Name">Name in the legend.</param>
/// <param name="Colour">A CSS colour.</param>
/// <param name="Points">The measurements in the order of their steps.</param>
sealed record ReportCurve(string Name, string Colour, IReadOnlyList<(double X, double Y)> Points)
{
    /// <summary>Drawn pale, behind the others, and left out of the legend.</summary>
    public bool Faint { get; init; }

    /// <summary>Marks the single measurements.</summary>
    public bool Dots { get; init; }

    /// <summary>The last measurement.</summary>
    public double Last => Points is [.., var point] ? _last ?? point.Y : double.NaN;

    double? _last;

    /// <summary>The measurements alone.</summary>
    public IEnumerable<double> Values => Points.Select(point => point.Y);

    /// <summary>The curve of one quantity; points that lack it are passed over.</summary>
    public static ReportCurve Of(string name, string colour, IEnumerable<ReportPoint> points, Func<ReportPoint, double?> quantity) =>
        new(name, colour, [.. from point in points
                              let value = quantity(point)
                              where value is { } number && ReportText.Usable(number)
                              select ((double)point.Step, value.Value)]);

    /// <summary>The curve itself, or for a long run its moving average over the pale measurements.</summary>
    public IEnumerable<ReportCurve> WithTrend(int longest = 200) => Points.Count <= longest ? [this] : [this with { Faint = true }, Smooth()];

    /// <summary>A moving average over a fortieth of the run to either side, narrower at the start, where values change fast.</summary>
    public ReportCurve Smooth()
    {
        var sums = new double[Points.Count + 1];
        for (var index = 0; index < Points.Count; index++) { sums[index + 1] = sums[index] + Points[index].Y; }
        var most = Points.Count / 40;
        return this with
        {
            Points = [.. Points.Select((point, index) =>
            {
                var first = index - Math.Min(most, index);
                var end = Math.Min(index + Math.Min(most, index) + 1, Points.Count);
                return (point.X, (sums[end] - sums[first]) / (end - first));
            })],
            _last = Points.Count > 0 ? Last : null,
        };
    }

    /// <summary>At most about <paramref name="limit"/> points; each bucket keeps its lowest and its highest, so that spikes survive.</summary>
    public ReportCurve Thin(int limit = 600)
    {
        if (Points.Count <= limit) { return this; }
        var size = (Points.Count + limit / 2 - 1) / (limit / 2);
        return this with
        {
            Points = [.. Points.Chunk(size).SelectMany(chunk =>
            {
                var (low, high) = (chunk.MinBy(point => point.Y), chunk.MaxBy(point => point.Y));
                return low.X < high.X ? [low, high] : low.X > high.X ? [high, low] : new[] { low };
            })],
        };
    }
}
