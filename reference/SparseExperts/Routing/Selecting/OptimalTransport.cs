namespace SparseExperts.Routing;

/// <summary>
/// Soft assignment of tokens to experts by entropic transport on token-softmax scores, 50 rounds at ε = 0.1, then each expert's best tokens
/// (Lingvo gshard_layers.py; the solver is Cuturi's, the library's own was not extracted).
/// </summary>
static class OptimalTransport
{
    const double Epsilon = 0.1;
    const int Rounds = 50;

    public static Choices Select(RouterCall call, RouterNumbers numbers, int capacity)
    {
        int size = call.Size, experts = call.Experts;
        var soft = new double[numbers.Scores.Values.Length];
        for (var g = 0; g < call.Groups; g++)
        {
            double[] row = [.. Enumerable.Repeat(1.0, size)], column = [.. Enumerable.Repeat(1.0, experts)];
            var scores = numbers.Scores.Values.AsSpan(g * size * experts, size * experts).ToArray();
            var largest = scores.Length == 0 ? 0 : scores.Max();
            var kernel = Array.ConvertAll(scores, s => ReproducibleMath.Exp((s - largest) / Epsilon));
            for (var round = 0; round < Rounds; round++)
            {
                for (var t = 0; t < size; t++) row[t] = 1.0 / size / Enumerable.Range(0, experts).Sum(e => column[e] * kernel[t * experts + e]);
                for (var e = 0; e < experts; e++) column[e] = 1.0 / experts / Enumerable.Range(0, size).Sum(t => row[t] * kernel[t * experts + e]);
            }
            for (var i = 0; i < kernel.Length; i++) soft[g * size * experts + i] = kernel[i] * row[i / experts] * column[i % experts] * scores[i];
        }
        return ExpertChoice.Select(call, numbers with { Scores = new(soft) }, capacity);
    }
}
