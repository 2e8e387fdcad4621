namespace SparseExperts;

/// <summary>
/// Shapes of an attention call, B sequences of Q queries that look at K keys: rows of queries and outputs are (sequence, query), rows of keys and values
/// (sequence, key), columns hold the heads side by side. In self-attention Q = K; a decoder that looks at an encoder has lengths of its own; a decoder
/// with a cache has few queries and many keys.
/// </summary>
/// <param name="HeadWidth">d, of a head's queries and keys.</param>
/// <param name="Causal">Query i sees the keys j ≤ i + <see cref="Offset"/> alone.</param>
public readonly record struct AttentionShape(int Sequences, int Queries, int Keys, int Heads, int HeadWidth, double Scale, bool Causal)
{
    /// <summary>Of a sequence that looks at itself.</summary>
    public static AttentionShape OfSelf(int sequences, int length, int heads, int headWidth, double scale, bool causal) =>
        new(sequences, length, length, heads, headWidth, scale, causal);

    /// <summary>Heads of keys and values, each for <see cref="Group"/> heads of queries that lie side by side; one for each unless fewer are said.</summary>
    public int KeyHeads { get => field == 0 ? Heads : field; init; }

    /// <summary>Width of a head's values; that of its keys unless another is said.</summary>
    public int ValueWidth { get => field == 0 ? HeadWidth : field; init; }

    /// <summary>How many keys a query sees at most, the one at its own place the last of them when causal; 0 is no limit.</summary>
    public int Window { get; init; }

    /// <summary>
    /// The key at the first query's place, where the queries do not stand at the end of the keys. Without it there are at least as many keys as causal
    /// queries.
    /// </summary>
    public int? Before { get; init; }

    /// <summary>Whether each head has a score of its own that competes with the keys and adds no value (<see cref="AttentionTerms.Sinks"/>).</summary>
    public bool Sinks { get; init; }

    /// <summary>
    /// A query that sees nothing, because there is no key for it or each is at −∞, sees all keys alike, those behind it too: what becomes of a mask that is
    /// a large number. Without it such a query is NaN, or 0 where it has no key.
    /// </summary>
    public bool BlindSeesAll { get; init; }

    /// <summary>Heads of queries that share a head of keys.</summary>
    public int Group => Heads / KeyHeads;

    /// <summary>Columns of Q.</summary>
    public int Width => Heads * HeadWidth;

    /// <summary>Columns of K.</summary>
    public int KeyColumns => KeyHeads * HeadWidth;

    /// <summary>Columns of V.</summary>
    public int ValueColumns => KeyHeads * ValueWidth;

    /// <summary>Columns of Y.</summary>
    public int OutputColumns => Heads * ValueWidth;

    public int QueryRows => Sequences * Queries;
    public int KeyRows => Sequences * Keys;
    public int ScoreRows => Sequences * Heads * Queries;

    /// <summary>Keys that come before the first query.</summary>
    public int Offset => Before ?? Keys - Queries;

    /// <summary>The first key that a query sees.</summary>
    public int First(int query) => Window == 0 ? 0 : (int)Math.Clamp((long)query + Offset - Window + 1, 0, Visible(query));

    /// <summary>The key behind the last that a query sees.</summary>
    public int Visible(int query) => Causal ? (int)Math.Clamp((long)query + 1 + Offset, 0, Keys) : Keys;
}

/// <summary>What competes with the products of queries and keys, or is added to them.</summary>
/// <param name="Bias">[H·Q, K], the same for all sequences.</param>
/// <param name="Pad">[B, K], or [B·Q, K] where queries see different keys; the same for all heads.</param>
/// <param name="Sinks">[1, H].</param>
public readonly record struct AttentionTerms(Matrix? Bias = null, Matrix? Pad = null, Matrix? Sinks = null);

/// <summary>Scaled dot-product attention (Vaswani et al. 2017, eq. 1) on all heads at once.</summary>
public interface IAttention
{
    /// <summary>
    /// Shape of what <see cref="Attention"/> keeps for <see cref="AttentionBackward"/>. Size and content are the backend's own: probabilities
    /// [B·H·Q, K], or a maximum and a sum a row where the backward op computes tiles of them again.
    /// </summary>
    (int Rows, int Columns) AttentionSaved(in AttentionShape shape);

    /// <summary>
    /// P = softmax(scale·QKᵀ + bias + pad, sink) without the sink's column, −∞ where a query does not look, Y = P·V, per sequence and head. Q [B·Q, H·d],
    /// K [B·K, G·d], V [B·K, G·w], Y [B·Q, H·w], G heads of keys; <paramref name="saved"/> as <see cref="AttentionSaved"/> says. The sink's term is the last of
    /// the softmax's sum. Masked keys have probability 0. Without keys Y is 0. A zero in Y, dQ, dK or dV is +0, so that masked keys may be left out of the
    /// chains.
    /// </summary>
    void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y);

    /// <summary>
    /// dV (+)= PᵀdY; dS = P ∘ (dYVᵀ − m), m = rowsum(P ∘ dYVᵀ); dQ (+)= scale·dS·K; dK (+)= scale·dSᵀ·Q; dBias += Σ over sequences dS, always,
    /// the sequences halved and joined as in <see cref="SumTree"/>; dSinks = −m·(the sink's probability), a row a query [B·Q, H], which nobody has summed.
    /// The scale multiplies dS once, before the products. In dK and dV the heads of a group follow each other in one chain. Inputs,
    /// <paramref name="saved"/> and <paramref name="y"/> are those of the forward op; destinations do not overlap.
    /// </summary>
    void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks);
}
