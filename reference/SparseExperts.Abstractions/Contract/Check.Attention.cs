namespace SparseExperts;

/// <summary>Arguments of attention.</summary>
public static partial class Check
{
    public static void Attention(IBackend backend, string op, in AttentionShape s, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved,
        Matrix y)
    {
        Owned(backend, op, q, k, v, saved, y);
        Numbers(op, s);
        if (s.Sinks != terms.Sinks is not null)
            throw new ShapeException($"{op}: the shape has {(s.Sinks ? "sinks" : "none")}, the terms {(s.Sinks ? "none" : "sinks")}; give both or neither");
        Shape(op, "Q", q, s.QueryRows, s.Width);
        Shape(op, "K", k, s.KeyRows, s.KeyColumns);
        Shape(op, "V", v, s.KeyRows, s.ValueColumns);
        Shape(op, "Y", y, s.QueryRows, s.OutputColumns);
        var (rows, columns) = backend.AttentionSaved(s);
        Shape(op, "saved", saved, rows, columns);
        if (terms.Bias is { } bias) { Owned(backend, op, bias, "bias"); Shape(op, "bias", bias, s.Heads * s.Queries, s.Keys); }
        if (terms.Pad is { } pad) { Owned(backend, op, pad, "pad"); Shape(op, "pad", pad, pad.Rows == s.QueryRows ? s.QueryRows : s.Sequences, s.Keys); }
        if (terms.Sinks is { } sinks) { Owned(backend, op, sinks, "sinks"); Shape(op, "sinks", sinks, 1, s.Heads); }
    }

    static void Numbers(string op, in AttentionShape s)
    {
        if (s.KeyHeads <= 0 || s.Heads % s.KeyHeads != 0)
            throw new ShapeException($"{op}: {s.Heads} heads of queries for {s.KeyHeads} of keys; give a divisor");
        if (s.Window < 0) throw new ShapeException($"{op}: a window of {s.Window} keys; give 1 or more, or 0 for no limit");
        if (s.Causal && s.Before is null && s.Keys < s.Queries)
            throw new ShapeException($"{op}: {s.Queries} causal queries of {s.Keys} keys; the last query sees the last key, so give at least as many keys");
    }

    /// <summary>The forward op's arguments again, and gradients of the shapes of what they belong to.</summary>
    public static void AttentionBackward(IBackend backend, in AttentionShape s, Matrix q, Matrix k, Matrix v, in AttentionTerms terms,
        Matrix saved, Matrix y, Matrix dy, Matrix dq, Matrix dk, Matrix dv, Matrix? dBias, Matrix? dSinks)
    {
        const string op = "AttentionBackward";
        Attention(backend, op, s, q, k, v, terms, saved, y);
        Owned(backend, op, dy, dq, dk, dv);
        Shape(op, "dY", dy, s.QueryRows, s.OutputColumns);
        Shape(op, "dQ", dq, s.QueryRows, s.Width);
        Shape(op, "dK", dk, s.KeyRows, s.KeyColumns);
        Shape(op, "dV", dv, s.KeyRows, s.ValueColumns);
        if (dBias is { } b) { Owned(backend, op, b, "dBias"); Shape(op, "dBias", b, s.Heads * s.Queries, s.Keys); }
        if (dSinks is not { } sinks) return;
        Owned(backend, op, sinks, "dSinks");
        Shape(op, "dSinks", sinks, s.QueryRows, s.Heads);
        if (!s.Sinks) throw new ShapeException($"{op}: dSinks without sinks; leave it out");
    }
}
