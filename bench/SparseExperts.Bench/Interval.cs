using System.Globalization;
using MathNet.Numerics.Distributions;
using MathNet.Numerics.Statistics;

namespace SparseExperts.Bench;

/// <summary>
/// A mean over seeds and how well it is known: the 95 % confidence interval is mean ± Half, Half = t·s/√n with Student's t at n − 1 degrees of
/// freedom (Gosset 1908). One seed says nothing about the others: its Half is NaN.
/// </summary>
readonly record struct Interval(double Mean, double Half)
{
    const double Level = 0.95;

    public static Interval Of(IReadOnlyCollection<double> values)
    {
        var n = values.Count;
        var half = n < 2 ? double.NaN : StudentT.InvCDF(0, 1, n - 1, (1 + Level) / 2) * values.StandardDeviation() / Math.Sqrt(n);
        return new(values.Mean(), half);
    }

    /// <summary><c>1.691 ± 0.011</c>, or the mean alone.</summary>
    public string ToString(string format)
    {
        string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        return double.IsNaN(Half) ? Text(Mean) : $"{Text(Mean)} ± {Text(Half)}";
    }
}
