// The gradients of attention tile by tile: probabilities P and dP = dY·Vᵀ are computed again wherever they are needed. dS = P ∘ (dP − m), m the sum of
// P ∘ dP along a query in sixteen lanes; scale·dS meets keys for dQ and queries for dK.
#include "attention.h"
#include "partials.h"

struct Gradient
{
    const float *dy;
    i64 strideDy;
    const float *saved;
    i64 strideSaved;
    float *means;
};

#define GRADIENT const float *dy, int strideDy, const float *saved, int strideSaved, float *means
#define THE_GRADIENT { dy, strideDy, saved, strideSaved, means }

/// A thread's lines of a tile of queries.
DEVICE void rows_of_tile(Row (&rows)[4], const Call &c, const Gradient &g, const Head &h, const Place &at, int first)
{
    UNROLL for (int i = 0; i < 4; i++) rows[i] = row_of(c, g.saved, g.strideSaved, h.row, first + 4 * at.down + i);
}

/// Products of a tile of queries and keys, and of their slopes and values, become probabilities and dP.
template <Queries Are>
DEVICE void shares_of_tile(float (&s)[4][4], const Row (&rows)[4], const Call &c, const Head &h, const Place &at, const Corner &first)
{
    to_scores<Are>(s, rows, c, h, at, first);
    to_weights<Are>(s, rows);
    to_shares<Are>(s, rows, at, first);
}

/// m of every query, dQ, and what the sinks get of each query, which is −m·(the sink's probability) [B·Q, H] unless it is null; a tile of queries of one
/// head and 16·Wide columns of dQ.
template <int Wide>
DEVICE void of_queries(const Call &c, const Gradient &g, float *dq, i64 strideDq, int accumulate, float *dSinks, i64 strideDSinks)
{
    PLACE(Wide);
    int tiles = (c.queries + Lines - 1) / Lines, firstQuery = (tiles - 1 - block_x() % tiles) * Lines, part = block_x() / tiles;
    int sequence = part / c.heads, head = part % c.heads, column = block_y() * 16 * Wide;
    Head h = head_of(c, sequence, head);
    i64 line = (i64)sequence * c.queries;
    Rows queries = rows_from(h.q, c.strideQ, firstQuery, c.queries);
    Rows slopes = rows_from(g.dy + line * g.strideDy + head * c.values, g.strideDy, firstQuery, c.queries);
    Range tile = c.blind ? Range{ 0, c.keys } : seen_by_tile(c, firstQuery);
    float s[4][4], d[4][4], means[4] = {}, sums[4][Wide];
    Row rows[4];
    rows_of_tile(rows, c, g, h, at, firstQuery);
    dq += (line + firstQuery) * strideDq + head * c.width + column;
    open(sums, at, dq, strideDq, queries.count, c.width - column, accumulate);

    _Pragma("nounroll") for (int sweep = 0; sweep < 2; sweep++)
    {
        _Pragma("nounroll") for (int key = tile.first; key < tile.behind; key += Crosses)
        {
            Corner first = { firstQuery, key };
            dots(s, at, queries, rows_from(h.k, c.strideK, key, c.keys), c.width);
            dots(d, at, slopes, rows_from(h.v, c.strideV, key, c.keys), c.values);
            shares_of_tile<AsLines>(s, rows, c, h, at, first);
            if (sweep == 0)
            {
                EACH_NUMBER(i, j) means[i] = fma(s[i][j], d[i][j], means[i]);
                continue;
            }
            EACH_NUMBER(i, j) s[i][j] = s[i][j] * (d[i][j] - means[i]) * c.scale;
            lay(at, s);
            Rows keys = rows_from(h.k + column, c.strideK, key, tile.behind);
            keys.count = keys.count < Crosses ? keys.count : Crosses;
            mix<Wide>(sums, at, keys, c.width - column);
        }
        if (sweep > 0) break;
        UNROLL for (int i = 0; i < 4; i++)
        {
            means[i] = join_lanes(means[i]);
            int query = firstQuery + 4 * at.down + i;
            if (block_y() > 0 || at.across > 0 || query >= c.queries) continue;
            g.means[h.row + query] = means[i];
            if (!dSinks) continue;
            float share = rows[i].blind ? 0.0f : exp(c.sinks[head] - rows[i].top) / rows[i].sum;
            dSinks[(line + query) * strideDSinks + head] = share * (0.0f - means[i]);
        }
    }
    close(sums, at, dq, strideDq, queries.count, c.width - column);
}

/// Queries that may see a tile of keys.
DEVICE Range seeing(const Call &c, int key)
{
    int first = 0, behind = c.queries;
    if (c.blind) return { first, behind };
    if (c.causal && key - c.offset > 0) first = key - c.offset;
    if (c.window && key + Lines - 1 - c.offset + c.window < behind) behind = key + Lines - 1 - c.offset + c.window;
    return { first, behind };
}

/// dK and dV of a tile of keys of one head of keys, 16·Wide columns of each: over its heads of queries, and the queries of each, in ascending order.
template <int Wide>
DEVICE void of_keys(const Call &c, const Gradient &g, float *dk, i64 strideDk, int accumulateK, float *dv, i64 strideDv, int accumulateV)
{
    PLACE(Wide);
    int tiles = (c.keys + Lines - 1) / Lines, firstKey = block_x() % tiles * Lines, part = block_x() / tiles, keyHeads = c.heads / c.group;
    int sequence = part / keyHeads, keyHead = part % keyHeads, column = block_y() * 16 * Wide;
    i64 row = (i64)sequence * c.queries, line = (i64)sequence * c.keys + firstKey;
    int count = c.keys - firstKey;
    dk += line * strideDk + keyHead * c.width + column;
    dv += line * strideDv + keyHead * c.values + column;
    float s[4][4], d[4][4], means[4], ofKeys[4][Wide], ofValues[4][Wide];
    Row rows[4];
    open(ofKeys, at, dk, strideDk, count, c.width - column, accumulateK);
    open(ofValues, at, dv, strideDv, count, c.values - column, accumulateV);
    Range tile = seeing(c, firstKey);
    _Pragma("nounroll") for (int head = keyHead * c.group; head < (keyHead + 1) * c.group; head++)
    {
        Head h = head_of(c, sequence, head);
        const float *dy = g.dy + row * g.strideDy + head * c.values;
        Rows keys = rows_from(h.k, c.strideK, firstKey, c.keys), values = rows_from(h.v, c.strideV, firstKey, c.keys);
        _Pragma("nounroll") for (int query = tile.first; query < tile.behind; query += Crosses)
        {
            Corner first = { query, firstKey };
            int there = tile.behind - query < Crosses ? tile.behind - query : Crosses;
            Rows queries = { h.q + query * c.strideQ, c.strideQ, there }, slopes = { dy + query * g.strideDy, g.strideDy, there };
            UNROLL for (int j = 0; j < 4; j++)
            {
                int cross = query + at.across + 16 * j;
                rows[j] = row_of(c, g.saved, g.strideSaved, h.row, cross);
                means[j] = cross < c.queries ? g.means[h.row + cross] : 0.0f;
            }
            dots(s, at, keys, queries, c.width);
            dots(d, at, values, slopes, c.values);
            shares_of_tile<AsCrosses>(s, rows, c, h, at, first);
            lay(at, s);
            slopes.first += column;
            mix<Wide>(ofValues, at, slopes, c.values - column);
            meet();
            EACH_NUMBER(i, j) s[i][j] = s[i][j] * (d[i][j] - means[j]) * c.scale;
            lay(at, s);
            queries.first += column;
            mix<Wide>(ofKeys, at, queries, c.width - column);
        }
    }
    close(ofKeys, at, dk, strideDk, count, c.width - column);
    close(ofValues, at, dv, strideDv, count, c.values - column);
}

/// dBias += Σ over sequences dS, the sequences halved and joined: a tile of queries and keys of one head.
KERNEL THREADS(128) attention_biases(CALL, GRADIENT, float *dBias, int strideDBias, const int *joins, int sequences)
{
    Call c = THE_CALL;
    Gradient g = THE_GRADIENT;
    PLACE(4);
    int across = (c.keys + Crosses - 1) / Crosses, down = (c.queries + Lines - 1) / Lines;
    int firstKey = block_x() % across * Crosses, first = block_x() / across % down * Lines, head = block_x() / across / down;
    Range tile = seen_by_tile(c, first);
    if (!c.blind && (firstKey >= tile.behind || firstKey + Crosses <= tile.first)) return;
    float stack[MOST_PARTIALS][16];
    int height = 0;
    for (int sequence = 0; sequence < sequences; sequence++)
    {
        Head h = head_of(c, sequence, head);
        Rows slopes = rows_from(g.dy + (i64)sequence * c.queries * g.strideDy + head * c.values, g.strideDy, first, c.queries);
        float s[4][4], d[4][4];
        dots(s, at, rows_from(h.q, c.strideQ, first, c.queries), rows_from(h.k, c.strideK, firstKey, c.keys), c.width);
        dots(d, at, slopes, rows_from(h.v, c.strideV, firstKey, c.keys), c.values);
        Row rows[4];
        rows_of_tile(rows, c, g, h, at, first);
        shares_of_tile<AsLines>(s, rows, c, h, at, { first, firstKey });
        UNROLL for (int i = 0; i < 4; i++)
        {
            int query = first + 4 * at.down + i;
            float mean = query < c.queries ? g.means[h.row + query] : 0.0f;
            UNROLL for (int j = 0; j < 4; j++) s[i][j] = s[i][j] * (d[i][j] - mean);
        }
        _Pragma("nounroll") for (int halves = joins[sequence]; halves > 0; halves--)
        {
            height--;
            UNROLL for (int i = 0; i < 16; i++) s[i / 4][i % 4] = stack[height][i] + s[i / 4][i % 4];
        }
        UNROLL for (int i = 0; i < 16; i++) stack[height][i] = s[i / 4][i % 4];
        height++;
    }
    dBias += (i64)(head * c.queries + first) * strideDBias;
    UNROLL for (int i = 0; i < 16; i++)
    {
        int query = 4 * at.down + i / 4, key = firstKey + at.across + 16 * (i % 4);
        if (first + query >= c.queries || key >= c.keys) continue;
        float *to = dBias + (i64)query * strideDBias + key;
        *to = *to + stack[0][i];
    }
}

#define BACKWARD(wide, queriesName, keysName) \
    KERNEL THREADS(128) queriesName(CALL, GRADIENT, float *dq, int strideDq, int accumulate, float *dSinks, int strideDSinks) \
    { \
        Call c = THE_CALL; \
        Gradient g = THE_GRADIENT; \
        of_queries<wide>(c, g, dq, strideDq, accumulate, dSinks, strideDSinks); \
    } \
    KERNEL THREADS(128) keysName(CALL, GRADIENT, float *dk, int strideDk, int accumulateK, float *dv, int strideDv, int accumulateV) \
    { \
        Call c = THE_CALL; \
        Gradient g = THE_GRADIENT; \
        of_keys<wide>(c, g, dk, strideDk, accumulateK, dv, strideDv, accumulateV); \
    }

BACKWARD(4, attention_queries_64, attention_keys_64)
BACKWARD(8, attention_queries_128, attention_keys_128)
