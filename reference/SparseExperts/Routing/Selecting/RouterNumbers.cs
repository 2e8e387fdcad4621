namespace SparseExperts.Routing;

/// <summary>What the host knows of a router's outputs when it selects: all [T, E], the bias [E].</summary>
public sealed record RouterNumbers
{
    /// <summary>Logits without noise.</summary>
    public required Numbers Logits { get; init; }

    /// <summary>Logits that the scores are made from: with the noise of the call.</summary>
    public required Numbers Noisy { get; init; }

    /// <summary>Scores; the logits themselves where the dialect scores only the chosen.</summary>
    public required Numbers Scores { get; init; }

    /// <summary>Bias for selection alone [E]; empty means none.</summary>
    public double[] CorrectionBias { get; init; } = [];

    /// <summary>The same for images [E]; empty where they have none of their own.</summary>
    public double[] ImageBias { get; init; } = [];

    /// <summary>The bias that a token's experts are chosen with [E]; empty means none.</summary>
    public double[] BiasOf(RouterCall call, int token) => ImageBias.Length > 0 && call.IsImage(token) ? ImageBias : CorrectionBias;

    /// <summary>Thresholds of the experts [E], for batchwise selection in evaluation.</summary>
    public double[] Thresholds { get; init; } = [];

    /// <summary>For choices that look at no number.</summary>
    public static RouterNumbers Nothing(RouterCall call)
    {
        var zeros = new Numbers(new double[call.Tokens * call.Experts]);
        return new() { Logits = zeros, Noisy = zeros, Scores = zeros };
    }

    /// <summary>The same with every number read, for those who keep it longer than the tape.</summary>
    internal RouterNumbers Fetched()
    {
        _ = (Logits.Values, Noisy.Values, Scores.Values);
        return this;
    }

    /// <summary>NaN cannot be ranked: an error that names layer, token and expert.</summary>
    public void RefuseNaN(RouterCall call)
    {
        var values = Scores.Values;
        for (var i = 0; i < values.Length; i++)
            if (double.IsNaN(values[i]) && call.IsReal(i / call.Experts)) throw NaN(call.Where, i / call.Experts, i % call.Experts);
    }

    /// <summary>The same for a backend's plan, which has the first expert with NaN of every token, or −1.</summary>
    internal static void RefuseNaN(string where, ReadOnlySpan<int> faults)
    {
        for (var t = 0; t < faults.Length; t++)
            if (faults[t] >= 0) throw NaN(where, t, faults[t]);
    }

    static RoutingException NaN(string where, int token, int expert) =>
        new($"{where}: router score of token {token} for expert {expert} is NaN; look for NaN and overflow in what it is made from, "
            + "and where this trains lower the learning rate");
}
