namespace SparseExperts.Training;

/// <summary>Continues a text byte by byte.</summary>
public static class Generation
{
    /// <param name="temperature">0 takes the likeliest byte, 1 samples from the model's distribution.</param>
    /// <param name="topK">Samples only among the k likeliest bytes; 0 among all.</param>
    /// <param name="caches">False computes every window anew; the bytes are the same (<see cref="NextByte"/>).</param>
    public static byte[] Continue(Predictor predictor, ReadOnlySpan<byte> prompt, int count, double temperature, int topK, ulong seed, bool caches = true) =>
        Continue(predictor, prompt, count, temperature, topK, seed, caches, out _);

    /// <param name="computed">Positions that were computed for it.</param>
    public static byte[] Continue(
        Predictor predictor,
        ReadOnlySpan<byte> prompt,
        int count,
        double temperature,
        int topK,
        ulong seed,
        bool caches,
        out long computed)
    {
        var context = predictor.Model.Config.Context;
        using var next = new NextByte(predictor, caches);
        var text = new List<byte>(prompt.ToArray());
        if (text.Count == 0) text.Add((byte)'\n');
        var start = text.Count;
        var stream = new Streams(seed).At(0, 0, RandomUse.Sampling);
        for (var i = 0; i < count; i++)
        {
            var window = text.Skip(Math.Max(0, text.Count - context)).Select(b => (int)b).ToArray();
            text.Add((byte)Choose(next.Logits(window), temperature, topK, Philox.UniformDouble(stream, (ulong)i)));
        }
        computed = next.Computed;
        return [.. text.Skip(start)];
    }

    static int Choose(float[] logits, double temperature, int topK, double uniform)
    {
        var order = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ThenBy(i => i).ToArray();
        if (temperature <= 0) return order[0];
        var kept = topK > 0 ? order[..Math.Min(topK, order.Length)] : order;
        var weights = kept.Select(i => ReproducibleMath.Exp((logits[i] - logits[order[0]]) / temperature)).ToArray();
        var left = uniform * weights.Sum();
        for (var i = 0; i < kept.Length; i++)
            if ((left -= weights[i]) < 0) return kept[i];
        return kept[^1];
    }
}
