using System.Globalization;

namespace SparseExperts.Checking;

/// <summary>Tokens of two recordings, how far their log-probabilities lie apart, and what replay says of it: sums of sizes over the tokens.</summary>
/// <param name="Tokens">Tokens whose next token's log-probability was compared.</param>
/// <param name="Total">Σ |log p_A − log p_B|.</param>
/// <param name="Routes">Σ of what the routes alone change, in the checkpoint's own computation.</param>
/// <param name="Rest">Σ of what is left.</param>
public sealed record ShiftOfTokens(int Tokens, double Total, double Routes, double Rest)
{
    /// <summary>A sum's mean over the tokens.</summary>
    public double Mean(double sum) => Tokens == 0 ? 0 : sum / Tokens;

    /// <summary>How much of the shift comes from routes: their part of both parts' sizes; null where there is none.</summary>
    public double? ShareOfRoutes => Routes + Rest > 0 ? Routes / (Routes + Rest) : null;

    internal static ShiftOfTokens Sum(IEnumerable<ShiftOfTokens> all) =>
        all.Aggregate((a, b) => new(a.Tokens + b.Tokens, a.Total + b.Total, a.Routes + b.Routes, a.Rest + b.Rest));
}

/// <summary>A sparse layer of two recordings.</summary>
/// <param name="TokensApart">Tokens, padding left out, that go to other experts.</param>
/// <param name="Alone">Σ over tokens of what the other engine's routes change in this layer alone.</param>
public sealed record ShiftOfLayer(string Name, int TokensApart, double Alone);

/// <summary>
/// Two engines' recordings of one model: how much of the difference in log-probabilities comes from tokens that they route otherwise, and how much from the
/// rest. Replay decides: the checkpoint is computed under the routes of the one, and again under those of the other; what that changes is the routes' part,
/// on whatever token it shows, for attention carries it on.
/// </summary>
/// <param name="Apart">Tokens that some layer routes otherwise.</param>
/// <param name="Together">The others.</param>
/// <param name="Mean">The signed mean of log p_A − log p_B.</param>
/// <param name="Largest">The largest |log p_A − log p_B|.</param>
public sealed record LogProbabilityShift(ShiftOfTokens Apart, ShiftOfTokens Together, double Mean, double Largest, IReadOnlyList<ShiftOfLayer> Layers)
{
    public ShiftOfTokens All => ShiftOfTokens.Sum([Apart, Together]);

    /// <summary>Several recordings of one model as one.</summary>
    public static LogProbabilityShift Sum(IReadOnlyList<LogProbabilityShift> all) => new(
        ShiftOfTokens.Sum(all.Select(s => s.Apart)),
        ShiftOfTokens.Sum(all.Select(s => s.Together)),
        all.Sum(s => s.Mean * s.All.Tokens) / Math.Max(1, all.Sum(s => s.All.Tokens)),
        all.Max(s => s.Largest),
        [.. all.SelectMany(s => s.Layers).GroupBy(l => l.Name).Select(g => new ShiftOfLayer(g.Key, g.Sum(l => l.TokensApart), g.Sum(l => l.Alone)))]);

    /// <summary>One plain sentence.</summary>
    public string Say()
    {
        string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        var all = All;
        if (all.Total == 0) return Invariant($"the log-probabilities of all {all.Tokens} tokens are equal");
        var mean = Invariant($"log-probabilities differ by {all.Mean(all.Total):G3} in the mean over {all.Tokens} tokens, by {Largest:G3} at most");
        if (Apart.Tokens == 0) return $"{mean}; no token goes to other experts, so that nothing of it comes from routes";
        return mean + Invariant($"; {all.ShareOfRoutes:P0} of it comes from routes, which differ for {Apart.Tokens} tokens, the rest from elsewhere");
    }
}
