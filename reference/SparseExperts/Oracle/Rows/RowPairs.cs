using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace SparseExperts.Oracle;

/// <summary>Which rows of two calls are the same token.</summary>
/// <param name="By">What they were paired by: <c>x.row</c>, or <c>x</c>.</param>
/// <param name="Pairs">Tokens of the first call with those of the second, in the order of the first.</param>
/// <param name="AloneFirst">Tokens of the first call that the second lacks.</param>
/// <param name="AloneSecond">Tokens of the second call that the first lacks.</param>
sealed record RowPairs(string By, IReadOnlyList<(int First, int Second)> Pairs, int AloneFirst, int AloneSecond)
{
    /// <summary>Ids from here on are not told from their neighbours.</summary>
    const double Largest = 1L << 53;

    /// <summary>
    /// Real tokens by their ids where both calls have them, else by the bits of x; what comes more than once is paired in order.
    /// </summary>
    /// <exception cref="CaseException">There is nothing to pair them by, or no token in both.</exception>
    public static RowPairs Of(RowCall first, RowCall second)
    {
        var byId = first.Case.Has(Case.Row) && second.Case.Has(Case.Row);
        var (keysOfFirst, keysOfSecond) = byId ? (Ids(first), Ids(second)) : (Bits(first), Bits(second));
        var waiting = new Dictionary<string, Queue<int>>();
        foreach (var token in second.RealTokens)
        {
            if (!waiting.TryGetValue(keysOfSecond(token), out var queue)) waiting[keysOfSecond(token)] = queue = [];
            queue.Enqueue(token);
        }
        List<(int, int)> pairs = [];
        foreach (var token in first.RealTokens)
            if (waiting.TryGetValue(keysOfFirst(token), out var queue) && queue.TryDequeue(out var other)) pairs.Add((token, other));
        var by = byId ? Case.Row : "x";
        if (pairs.Count > 0) return new(by, pairs, first.RealTokens.Count - pairs.Count, second.RealTokens.Count - pairs.Count);
        var remedy = byId ? $"give one token one id in both" : $"record calls that share tokens, or give them ids as {Case.Row} [G, S] in both files";
        throw new CaseException($"{second.Case.Path}: no row of it has the {(byId ? "id" : "bits")} of a row of {first.Case.Path}; {remedy}");
    }

    static Func<int, string> Ids(RowCall call)
    {
        var ids = call.Case.Get(Case.Row);
        if (ids.DType[0] is not ('I' or 'U')) throw new CaseException($"{call.Case.Path}: {Case.Row} is {ids.DType}; write whole numbers (I64)");
        foreach (var id in ids.Values)
            if (Math.Abs(id) >= Largest) throw new CaseException(FormattableString.Invariant($"{call.Case.Path}: {Case.Row} holds {id}; number below 2^53"));
        return token => ids.Values[token].ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    static Func<int, string> Bits(RowCall call)
    {
        if (call.Case.Find("x") is not { } x)
            throw new CaseException($"{call.Case.Path}: neither x nor {Case.Row} in both files, by which rows could be paired; add one");
        var keys = new string[call.Tokens];
        Parallelism.For(call.Tokens, token => keys[token] = Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes(call.Row(x, token)))));
        return token => keys[token];
    }
}
