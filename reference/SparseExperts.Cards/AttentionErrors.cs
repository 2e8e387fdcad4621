namespace SparseExperts;

/// <summary>Wrong calls of attention.</summary>
static class AttentionErrors
{
    public static IEnumerable<OpError> Of(bool causal)
    {
        AttentionShape shape = new(2, 3, 4, 2, 2, 0.5, causal);
        OpError Forward(string name, AttentionShape with, Func<IBackend, (Matrix Q, Matrix K, AttentionTerms Terms)> arguments, string message) =>
            new(name, (b, _) =>
            {
                var (q, k, terms) = arguments(b);
                var (rows, columns) = b.AttentionSaved(shape);
                b.Attention(with, q, k, b.Rent(8, 4), terms, b.Rent(rows, columns), b.Rent(with.QueryRows, 4));
            }, message);
        OpError Terms(string name, Func<IBackend, AttentionTerms> terms, string message) =>
            Forward(name, shape, b => (b.Rent(6, 4), b.Rent(8, 4), terms(b)), message);
        OpError Shape(string name, AttentionShape with, string message) =>
            Forward(name, with, b => (b.Rent(with.QueryRows, 4), b.Rent(8, 4), default), message);

        yield return Forward("queries", shape, b => (b.Rent(5, 4), b.Rent(8, 4), default), "Attention: Q is 5×4, expected 6×4; reshape or rent it so");
        yield return Forward("keys", shape, b => (b.Rent(6, 4), b.Rent(6, 4), default), "Attention: K is 6×4, expected 8×4; reshape or rent it so");
        yield return Terms("bias", b => new(Bias: b.Rent(3, 3)), "Attention: bias is 3×3, expected 6×4; reshape or rent it so");
        yield return Terms("pad", b => new(Pad: b.Rent(3, 2)), "Attention: pad is 3×2, expected 2×4; reshape or rent it so");
        yield return Terms("pad of queries", b => new(Pad: b.Rent(6, 3)), "Attention: pad is 6×3, expected 6×4; reshape or rent it so");
        yield return Terms("sinks of nobody", b => new(Sinks: b.Rent(1, 2)), "Attention: the shape has none, the terms sinks; give both or neither");
        yield return Shape("sinks that are missing", shape with { Sinks = true }, "Attention: the shape has sinks, the terms none; give both or neither");
        yield return Shape("key heads", shape with { KeyHeads = 3 }, "Attention: 2 heads of queries for 3 of keys; give a divisor");
        yield return Shape("window", shape with { Window = -1 }, "Attention: a window of -1 keys; give 1 or more, or 0 for no limit");
        if (causal)
            yield return Shape("more causal queries than keys", shape with { Queries = 5 },
                "Attention: 5 causal queries of 4 keys; the last query sees the last key, so give at least as many keys");
    }
}
