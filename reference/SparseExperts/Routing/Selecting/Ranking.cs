namespace SparseExperts.Routing;

/// <summary>
/// The numbers that one choice is decided by, [rows, columns], with a bound on the error of each. For token choice rows are tokens and
/// columns experts, for expert choice the other way round.
/// </summary>
public sealed record Ranking(double[] Values, double[] Errors, int Columns)
{
    public int Rows => Values.Length / Columns;
    public ReadOnlySpan<double> Row(int row) => Values.AsSpan(row * Columns, Columns);
    public double Error(int row, int column) => Errors[row * Columns + column];

    public static Ranking Of(Numbers numbers, int columns) => new(numbers.Values, numbers.Errors, columns);

    /// <summary>Index of the largest value among those that are not out, by the tie rule; −1 where all are out.</summary>
    public static int Best(ReadOnlySpan<double> values, ReadOnlySpan<bool> isOut, TieRule ties)
    {
        var best = -1;
        for (var i = 0; i < values.Length; i++)
            if (!isOut[i] && (best < 0 || values[i] > values[best] || values[i] == values[best] && Precedes(i, best, ties))) best = i;
        return best;
    }

    /// <summary>The <paramref name="count"/> best indices, best first.</summary>
    public static int[] Top(ReadOnlySpan<double> values, int count, TieRule ties)
    {
        var keys = values.ToArray();
        var order = new int[keys.Length];
        for (var i = 0; i < order.Length; i++) order[i] = i;
        Array.Sort(order, (a, b) => keys[a] != keys[b] ? keys[b].CompareTo(keys[a]) : a == b ? 0 : Precedes(a, b, ties) ? -1 : 1);
        return order[..Math.Min(count, order.Length)];
    }

    /// <summary>Which of two equals wins. An open tie is settled for the lowest index here.</summary>
    internal static bool Precedes(int a, int b, TieRule ties) => ties switch
    {
        TieRule.Lowest or TieRule.Unspecified => a < b,
        TieRule.Highest => a > b,
        TieRule.BitReversedLane => (Reversed(a % 32), a) is var x && (Reversed(b % 32), b) is var y && x.CompareTo(y) < 0,
        _ => throw new ArgumentOutOfRangeException(nameof(ties), ties, "unknown tie rule"),
    };

    /// <summary>Five bits back to front: the order in which TransformerEngine's butterfly lets lanes win.</summary>
    static int Reversed(int lane) => (lane & 1) << 4 | (lane & 2) << 2 | lane & 4 | (lane & 8) >> 2 | (lane & 16) >> 4;
}
