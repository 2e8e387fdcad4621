using SparseExperts.Data;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>How the next token is drawn from a model's logits.</summary>
/// <param name="Temperature">Logits are divided by it; 0 takes the likeliest token.</param>
/// <param name="TopK">Only the k likeliest tokens, and whatever is as likely as the k-th; 0 keeps all.</param>
/// <param name="TopP">Only the fewest tokens whose probabilities sum to p or more; 1 keeps all.</param>
public sealed record SamplingRule(double Temperature = 1, int TopK = 0, double TopP = 1)
{
    /// <exception cref="ConfigurationException">A value cannot be; one line.</exception>
    public void Validate()
    {
        if (!(Temperature >= 0 && double.IsFinite(Temperature))) throw new ConfigurationException($"temperature {Temperature}: 0 or more");
        if (TopK < 0) throw new ConfigurationException($"top k {TopK}: 0 or more");
        if (!(TopP is > 0 and <= 1)) throw new ConfigurationException($"top p {TopP}: above 0, 1 at most");
    }
}

/// <summary>The distribution that a token is drawn from, and the draw.</summary>
public static class Sampling
{
    /// <summary>
    /// p = softmax(x/T) over the kept tokens and 0 elsewhere: first the temperature, then top-k, then top-p (transformers logits_process.py: Temperature-,
    /// TopK- and TopPLogitsWarper). From the least likely token on, tokens go while their sum is at most 1 − p; of equals the last goes first, and the
    /// likeliest stays.
    /// </summary>
    /// <exception cref="DataException">No logit is a number.</exception>
    public static double[] Probabilities(ReadOnlySpan<float> logits, SamplingRule rule)
    {
        var rising = Rising(logits);
        if (rule.Temperature == 0) return Only(rising);
        double largest = logits[rising[^1]];
        var p = new double[logits.Length];
        for (var i = 0; i < p.Length; i++) p[i] = ReproducibleMath.Exp((logits[i] - largest) / rule.Temperature);
        if (rule.TopK > 0 && rule.TopK < p.Length)
            foreach (var i in rising)
                if (logits[i] < logits[rising[^rule.TopK]]) p[i] = 0;
        Normalise(p);
        if (rule.TopP < 1) LeaveOut(p, rising, 1 - rule.TopP);
        return p;
    }

    /// <summary>Token numbers by their logits from the smallest on; the first of equals comes last.</summary>
    static int[] Rising(ReadOnlySpan<float> logits)
    {
        var values = logits.ToArray();
        var order = Enumerable.Range(0, values.Length).OrderBy(i => values[i]).ThenByDescending(i => i).ToArray();
        return float.IsFinite(values[order[^1]]) && !values.Any(float.IsNaN)
            ? order
            : throw new DataException("the model's logits are not numbers: its weights are broken, so nothing can be drawn from it");
    }

    /// <summary>The first of the likeliest, for certain.</summary>
    static double[] Only(int[] rising)
    {
        var p = new double[rising.Length];
        p[rising[^1]] = 1;
        return p;
    }

    static void LeaveOut(double[] p, int[] rising, double most)
    {
        var sum = 0.0;
        foreach (var i in rising.AsSpan(0, rising.Length - 1))
            if ((sum += p[i]) <= most) p[i] = 0;
            else break;
        Normalise(p);
    }

    static void Normalise(double[] p)
    {
        var sum = p.Sum();
        for (var i = 0; i < p.Length; i++) p[i] /= sum;
    }

    /// <summary>The token at which the sum of probabilities, from the likeliest on, exceeds a uniform number of [0, 1).</summary>
    public static int Choose(double[] probabilities, double uniform)
    {
        var falling = Enumerable.Range(0, probabilities.Length).Where(i => probabilities[i] > 0).OrderByDescending(i => probabilities[i]).ToArray();
        foreach (var i in falling)
            if ((uniform -= probabilities[i]) < 0) return i;
        return falling[^1];
    }
}
