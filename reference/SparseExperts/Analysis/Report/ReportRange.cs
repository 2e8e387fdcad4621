namespace SparseExperts.Analysis;

/// <summary>The stretch of values that one axis shows.</summary>
readonly record struct ReportRange(double Low, double High)
{
    /// <summary>Where a value lies: 0 at the low end, 1 at the high end.</summary>
    public double At(double value) => (value - Low) / (High - Low);

    /// <summary>All values, exactly.</summary>
    public static ReportRange Exact(IEnumerable<double> values)
    {
        var (low, high) = (double.PositiveInfinity, double.NegativeInfinity);
        foreach (var value in values) { (low, high) = (Math.Min(low, value), Math.Max(high, value)); }
        return low > high ? new(0, 1) : new(low, high);
    }

    /// <summary>All values with a little air, from zero if asked.</summary>
    public static ReportRange Cover(IEnumerable<double> values, bool fromZero = false)
    {
        var (low, high) = Exact(values);
        return Air(fromZero ? Math.Min(0, low) : low, fromZero ? Math.Max(0, high) : high);
    }

    /// <summary>The values without a few that tower above the rest, such as the loss of the first steps.</summary>
    public static ReportRange Robust(IReadOnlyCollection<double> values, bool fromZero = false)
    {
        if (values.Count < 8) { return Cover(values, fromZero); }
        double[] sorted = [.. values.Order()];
        var low = fromZero ? Math.Min(0, sorted[0]) : sorted[0];
        var usual = sorted[(int)(0.95 * (sorted.Length - 1))];
        return Air(low, sorted[^1] - low > 1.6 * (usual - low) && usual > low ? usual : sorted[^1]);
    }

    /// <summary>The round values (1, 2 or 5 times a power of ten) inside the range, about as many as asked for.</summary>
    public double[] Ticks(int about, bool whole = false)
    {
        var rough = (High - Low) / Math.Max(1, about);
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        var step = power * ((rough / power) switch { <= 1.001 => 1, <= 2.001 => 2, <= 5.001 => 5, _ => 10 });
        if (whole) { step = Math.Max(1, step); }
        var (first, last) = (Math.Ceiling(Low / step - 1e-6), Math.Floor(High / step + 1e-6));
        return [.. Enumerable.Range(0, (int)Math.Clamp(last - first + 1, 0, 50)).Select(index => (first + index) * step)];
    }

    static ReportRange Air(double low, double high)
    {
        var size = Math.Max(Math.Abs(low), Math.Abs(high));
        if (high - low <= 1e-9 * size || size == 0)
        {
            var room = size == 0 ? 1 : 0.1 * size;
            return new(low == 0 ? 0 : low - room, high + room);
        }

        var air = 0.06 * (high - low);
        return new(low == 0 ? 0 : low - air, high == 0 ? 0 : high + air);
    }
}
