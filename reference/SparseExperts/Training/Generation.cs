namespace SparseExperts.Training;

/// <summary>Continues a text token by token.</summary>
public static class Generation
{
    /// <summary>What a model that was given nothing begins with.</summary>
    const int LineEnd = '\n';

    /// <summary>Bytes of a model that reads bytes.</summary>
    /// <param name="temperature">0 takes the likeliest byte, 1 samples from the model's distribution.</param>
    /// <param name="topK">Samples only among the k likeliest bytes; 0 among all.</param>
    /// <param name="caches">False computes every window anew; the bytes are the same (<see cref="GrowingText"/>).</param>
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
        using var next = new GrowingText(predictor, caches);
        int[] start = prompt.Length == 0 ? [LineEnd] : Array.ConvertAll(prompt.ToArray(), b => (int)b);
        var written = Continue(next, predictor.Model.Config.Context, start, count, new(temperature, topK), seed);
        computed = next.Computed;
        return Array.ConvertAll(written, id => (byte)id);
    }

    /// <summary>New tokens of any model that continues texts.</summary>
    /// <param name="prompt">At least one token.</param>
    /// <param name="count">New tokens at most.</param>
    /// <param name="stop">Whether the new tokens so far are enough; asked after each.</param>
    public static int[] Continue(
        Predictor predictor,
        IReadOnlyList<int> prompt,
        int count,
        SamplingRule rule,
        ulong seed,
        Func<IReadOnlyList<int>, bool>? stop = null)
    {
        using var next = new GrowingText(predictor);
        return Continue(next, predictor.Model.Config.Context, prompt, count, rule, seed, stop);
    }

    static int[] Continue(
        GrowingText next,
        int context,
        IReadOnlyList<int> prompt,
        int count,
        SamplingRule rule,
        ulong seed,
        Func<IReadOnlyList<int>, bool>? stop = null)
    {
        var (text, written) = (new List<int>(prompt), new List<int>());
        var stream = new Streams(seed).At(0, 0, RandomUse.Sampling);
        for (var i = 0; i < count && stop?.Invoke(written) != true; i++)
        {
            var start = Math.Max(0, text.Count - context);
            var logits = next.Logits([.. text.GetRange(start, text.Count - start)]);
            var id = Sampling.Choose(Sampling.Probabilities(logits, rule), Philox.UniformDouble(stream, (ulong)i));
            text.Add(id);
            written.Add(id);
        }
        return [.. written];
    }
}
