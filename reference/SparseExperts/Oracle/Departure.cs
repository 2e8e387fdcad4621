namespace SparseExperts.Oracle;

/// <summary>The numbers of a stage: claimed, expected, and how far rounding may take each from the other.</summary>
public sealed record Departure(double[] Claimed, double[] Expected, double[] Bounds)
{
    /// <summary>Places that rounding does not explain.</summary>
    public IEnumerable<int> Places => Enumerable.Range(0, Claimed.Length).Where(Departs);

    bool Departs(int i) => Claimed[i] != Expected[i] && !(Math.Abs(Claimed[i] - Expected[i]) <= Bounds[i]);

    /// <summary>Whether the claims are these numbers instead, within the same bounds.</summary>
    public bool Is(Func<int, double> other)
    {
        for (var i = 0; i < Claimed.Length; i++)
        {
            var value = other(i);
            // A number of another size has bounds of another size.
            var room = Bounds[i] * Math.Max(1, Math.Abs(value) / Math.Max(Math.Abs(Expected[i]), double.Epsilon)) + 2e-7 * Math.Abs(value);
            if (!(Math.Abs(Claimed[i] - value) <= Math.Min(room, 1e-3 * (Math.Abs(value) + Largest)))) return false;
        }
        return true;
    }

    /// <summary>The largest number that is expected.</summary>
    public double Largest => Expected.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(0).Max();
}

/// <summary>What an implementation does instead: something that computes other numbers, which are the ones that it claims.</summary>
/// <param name="What">The axis, or the part of the layer.</param>
/// <param name="Value">What it is there.</param>
/// <param name="Sentence">In the words of the person who has the bug.</param>
public sealed record Cause(string What, string Value, string Sentence);
