using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// How often each of some texts is drawn from: p_i = n_i^(1/T) / Σ_j n_j^(1/T) for sizes n (Xue et al. 2021, mT5, section 3.1, where 1/T is α = 0.3). T = 1 is
/// in proportion to size, a large T draws from all alike.
/// </summary>
public sealed class Mixture
{
    readonly double[] _upTo;

    /// <exception cref="DataException">The temperature is below 1 or no number, or a size is not above 0.</exception>
    public Mixture(IReadOnlyList<long> sizes, double temperature)
    {
        if (!(temperature >= 1)) throw new DataException($"mixture temperature {temperature}: 1 or more", "mixture");
        if (sizes.Count == 0 || sizes.Any(n => n <= 0)) throw new DataException("a mixture needs texts that are not empty");
        // Powers of ratios to the largest, so that nothing overflows.
        var largest = (double)sizes.Max();
        double[] weights = [.. sizes.Select(n => double.IsPositiveInfinity(temperature) ? 1 : ReproducibleMath.Pow(n / largest, 1 / temperature))];
        var sum = weights.Sum();
        Shares = [.. weights.Select(w => w / sum)];
        _upTo = new double[weights.Length];
        for (var i = 0; i < _upTo.Length; i++) _upTo[i] = Shares[i] + (i == 0 ? 0 : _upTo[i - 1]);
    }

    public IReadOnlyList<double> Shares { get; }

    /// <summary>The text that a uniform number of [0, 1) draws.</summary>
    public int Choose(double uniform)
    {
        var i = Array.FindIndex(_upTo, sum => uniform < sum);
        return i < 0 ? _upTo.Length - 1 : i;
    }
}
