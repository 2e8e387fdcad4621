// The gradients of attention tile by tile. P are the probabilities, computed again from a query's largest score and sum, dP = dY·Vᵀ, dS = P ∘ (dP − m),
// m the sum of P ∘ dP along a query in sixteen lanes. P and scale·dS of a step's queries lie in scratch memory; keys meet scale·dS for dQ, and queries
// and slopes meet both for dK and dV.
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

/// A step of the call: how many tiles of queries it has, from which on, and the scratch memory for P and for scale·dS.
struct Step
{
    float *shares, *slopes;
    int first, tiles;
};

#define STEP float *shares, float *slopes, int firstTile, int tiles
#define THE_STEP { shares, slopes, firstTile, tiles }

/// Where the slopes of a head's queries begin.
DEVICE const float *slopes_of(const Call &c, const Gradient &g, const Tile &tile)
{
    return g.dy + (i64)tile.sequence * c.queries * g.strideDy + tile.head * c.values;
}

/// P and dP of a tile of queries and keys.
template <int Each>
DEVICE void shares_of_tile(float (&s)[Each][4], float (&d)[Each][4], const Row (&rows)[Each], const Call &c, const Gradient &g, const Head &h, Place &at,
    const Tile &tile, int key)
{
    int query = tile.query;
    dots<Each>(s, at, rows_from(h.q, c.strideQ, query, c.queries), rows_from(h.k, c.strideK, key, c.keys), c.width);
    dots<Each>(d, at, rows_from(slopes_of(c, g, tile), g.strideDy, query, c.queries), rows_from(h.v, c.strideV, key, c.keys), c.values);
    bool seesAll = sees_all(c, query, key);
    to_scores<Each>(s, rows, c, h, at, query, key, seesAll);
    to_weights<Each>(s, rows);
    to_shares<Each>(s, rows, c, at, query, key, seesAll);
}

/// P and scale·dS for a tile of queries of one head, m of each, dQ, and what the sinks get of each query, which is −m·(the sink's probability) [B·Q, H]
/// unless it is null.
template <int Wide>
DEVICE void of_queries(const Call &c, const Gradient &g, const Step &step, float *dq, i64 strideDq, int accumulate, float *dSinks, i64 strideDSinks)
{
    enum { Each = TileQueries / 8 };
    PLACE(Each, Wide);
    int slot = slot_of(c, step.tiles);
    Tile tile = tile_of(c, step.first + slot);
    int query = tile.query;
    Head h = head_of(c, tile.sequence, tile.head);
    Range range = seen_by_tile(c, query);
    i64 line = (i64)tile.sequence * c.queries, pitch = scratch_pitch(c);
    float *shares = own_scratch<Each>(step.shares, c, at, slot), *slopes = own_scratch<Each>(step.slopes, c, at, slot);
    float s[Each][4], d[Each][4], means[Each] = {};
    Row rows[Each];
    UNROLL for (int i = 0; i < Each; i++) rows[i] = row_of(c, g.saved, g.strideSaved, h.row, query + Each * at.down + i);

    _Pragma("nounroll") for (int key = range.first; key < range.behind; key += Crosses)
    {
        shares_of_tile<Each>(s, d, rows, c, g, h, at, tile, key);
        EACH_NUMBER(i, j) means[i] = fma(s[i][j], d[i][j], means[i]);
        put_tile<Each>(shares + key, pitch, s);
        put_tile<Each>(slopes + key, pitch, d);
    }
    UNROLL for (int i = 0; i < Each; i++)
    {
        means[i] = join_lanes(means[i]);
        int own = query + Each * at.down + i;
        if (at.across > 0 || own >= c.queries) continue;
        g.means[h.row + own] = means[i];
        if (!dSinks) continue;
        float share = rows[i].blind ? 0.0f : exp(c.sinks[tile.head] - rows[i].top) / rows[i].sum;
        dSinks[(line + own) * strideDSinks + tile.head] = share * (0.0f - means[i]);
    }

    dq += (line + query) * strideDq + tile.head * c.width;
    _Pragma("nounroll") for (int column = 0; column < c.width; column += 16 * Wide)
    {
        float sums[Each][Wide];
        open<Each, Wide>(sums, at, dq + column, strideDq, c.queries - query, c.width - column, accumulate);
        _Pragma("nounroll") for (int key = range.first; key < range.behind; key += Crosses)
        {
            get_tile<Each>(d, slopes + key, pitch);
            if (column == 0)
            {
                get_tile<Each>(s, shares + key, pitch);
                EACH_NUMBER(i, j) d[i][j] = s[i][j] * (d[i][j] - means[i]) * c.scale;
                put_tile<Each>(slopes + key, pitch, d);
            }
            meet();
            lay<Each>(at, d);
            mix<Each, Wide>(sums, at, rows_from(h.k + column, c.strideK, key, range.behind), c.width - column);
        }
        close<Each, Wide>(sums, at, dq + column, strideDq, c.queries - query, c.width - column);
    }
}

/// A tile of keys of what queries left in scratch memory goes where mix finds it: lines of the tile are keys, its crosses queries.
template <int Each> DEVICE void lay_keys(const Place &at, const float *from, i64 pitch, int queries)
{
    enum { Quads = LINES / 4, Step = Threads / Quads };
    int line = at.thread % Quads * 4, cross = at.thread / Quads;
    quad fours[TileQueries / Step];
    UNROLL for (int i = 0; i < TileQueries / Step; i++)
        if (cross + i * Step < queries) fours[i] = *(const quad *)(from + (cross + i * Step) * pitch + line);
    meet();
    UNROLL for (int i = 0; i < TileQueries / Step; i++)
        if (cross + i * Step < queries) *(quad *)(at.weights + (cross + i * Step) * LINE_PITCH + line) = fours[i];
}

/// 16·Wide columns of dK or dV for a tile of keys of one head of keys: over its heads of queries, and the queries of each, in ascending order. A step
/// goes on where the one before ended.
template <int Each, int Wide>
DEVICE void of_keys(const Call &c, const Gradient &g, const Step &step, float *dk, i64 strideDk, int accumulateK, float *dv, i64 strideDv, int accumulateV)
{
    PLACE(Each, Wide);
    int tiles = tiles_of_head(c) * c.group, keyTiles = (c.keys + LINES - 1) / LINES, keyHeads = c.heads / c.group;
    int panelsK = (c.width + 16 * Wide - 1) / (16 * Wide), panels = panelsK + (c.values + 16 * Wide - 1) / (16 * Wide);
    int part = step.first / tiles + block_x() / keyTiles / panels, which = block_x() / keyTiles % panels, key = block_x() % keyTiles * LINES;
    int first = part * tiles, behind = first + tiles;
    bool goesOn = first < step.first;
    if (goesOn) first = step.first;
    if (behind > step.first + step.tiles) behind = step.first + step.tiles;

    bool isK = which < panelsK;
    int column = (isK ? which : which - panelsK) * 16 * Wide, width = isK ? c.width : c.values, columns = width - column;
    i64 stride = isK ? strideDk : strideDv, pitch = scratch_pitch(c);
    float *to = (isK ? dk : dv) + ((i64)(part / keyHeads) * c.keys + key) * stride + part % keyHeads * width + column, sums[Each][Wide];
    const float *scratch = (isK ? step.slopes : step.shares) + key;
    open<Each, Wide>(sums, at, to, stride, c.keys - key, columns, goesOn || (isK ? accumulateK : accumulateV));
    _Pragma("nounroll") for (int number = first; number < behind; number++)
    {
        Tile tile = tile_of(c, number);
        Range range = seen_by_tile(c, tile.query);
        if (key < range.first || key >= range.behind) continue;
        Rows queries = isK ? rows_from(head_of(c, tile.sequence, tile.head).q + column, c.strideQ, tile.query, c.queries)
                           : rows_from(slopes_of(c, g, tile) + column, g.strideDy, tile.query, c.queries);
        if (queries.count > TileQueries) queries.count = TileQueries;
        lay_keys<Each>(at, scratch + (i64)(number - step.first) * TileQueries * pitch, pitch, queries.count);
        mix<Each, Wide>(sums, at, queries, columns);
    }
    close<Each, Wide>(sums, at, to, stride, c.keys - key, columns);
}

/// dBias += Σ over sequences dS, the sequences halved and joined: a tile of queries and keys of one head.
KERNEL THREADS(128) attention_biases(CALL, GRADIENT, float *dBias, int strideDBias, const int *joins, int sequences)
{
    Call c = THE_CALL;
    Gradient g = THE_GRADIENT;
    enum { Each = TileQueries / 8 };
    PLACE(Each, 4);
    int across = (c.keys + Crosses - 1) / Crosses, down = tiles_of_head(c);
    int key = block_x() % across * Crosses, first = block_x() / across % down * TileQueries, head = block_x() / across / down;
    Range range = seen_by_tile(c, first);
    if (key >= range.behind || key + Crosses <= range.first) return;
    float stack[MOST_PARTIALS][16];
    int height = 0;
    for (int sequence = 0; sequence < sequences; sequence++)
    {
        Head h = head_of(c, sequence, head);
        float s[Each][4], d[Each][4];
        Row rows[Each];
        UNROLL for (int i = 0; i < Each; i++) rows[i] = row_of(c, g.saved, g.strideSaved, h.row, first + Each * at.down + i);
        shares_of_tile<Each>(s, d, rows, c, g, h, at, { sequence, head, first }, key);
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
        int query = 4 * at.down + i / 4, own = key + at.across + 16 * (i % 4);
        if (first + query >= c.queries || own >= c.keys) continue;
        float *to = dBias + (i64)query * strideDBias + own;
        *to = *to + stack[0][i];
    }
}

#define BACKWARD(eachKey, wide, blocksOfQueries, blocksOfKeys, queriesName, keysName) \
    KERNEL THREADS_OF_BLOCKS(128, blocksOfQueries) queriesName(CALL, GRADIENT, STEP, float *dq, int strideDq, int accumulate, float *dSinks, \
        int strideDSinks) \
    { \
        Call c = THE_CALL; \
        Gradient g = THE_GRADIENT; \
        Step step = THE_STEP; \
        of_queries<wide>(c, g, step, dq, strideDq, accumulate, dSinks, strideDSinks); \
    } \
    KERNEL THREADS_OF_BLOCKS(128, blocksOfKeys) keysName(CALL, GRADIENT, STEP, float *dk, int strideDk, int accumulateK, float *dv, int strideDv, \
        int accumulateV) \
    { \
        Call c = THE_CALL; \
        Gradient g = THE_GRADIENT; \
        Step step = THE_STEP; \
        of_keys<eachKey, wide>(c, g, step, dk, strideDk, accumulateK, dv, strideDv, accumulateV); \
    }

BACKWARD(8, 4, 4, 3, attention_queries_64, attention_keys_64)
BACKWARD(4, 8, 3, 3, attention_queries_128, attention_keys_128)
