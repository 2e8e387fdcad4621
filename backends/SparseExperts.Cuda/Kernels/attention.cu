// Attention tile by tile (docs/numerics.md): first scores and the largest of each query, then weights and their sum in sixteen lanes, then the values'
// products over ascending keys.
#include "attention.h"

/// y = P·V for a tile of queries of one head; the queries' largest scores and sums go to `saved`.
template <int Wide> DEVICE void forward(const Call &c, float *saved, i64 strideSaved, float *y, i64 strideY, float *scratch, int firstTile)
{
    enum { Each = TileQueries / 8 };
    PLACE(Each, Wide);
    int slot = slot_of(c, blocks_x());
    Tile tile = tile_of(c, firstTile + slot);
    int query = tile.query;
    Head h = head_of(c, tile.sequence, tile.head);
    Rows queries = rows_from(h.q, c.strideQ, query, c.queries);
    Range range = seen_by_tile(c, query);
    float sink = c.sinks ? c.sinks[tile.head] : -__builtin_inff(), s[Each][4];
    i64 pitch = scratch_pitch(c);
    float *own = own_scratch<Each>(scratch, c, at, slot);
    Row rows[Each];
    bool sees[Each] = {};
    UNROLL for (int i = 0; i < Each; i++) rows[i] = { -__builtin_inff(), 0.0f, false };

    _Pragma("nounroll") for (int key = range.first; key < range.behind; key += Crosses)
    {
        dots<Each>(s, at, queries, rows_from(h.k, c.strideK, key, c.keys), c.width);
        to_scores<Each>(s, rows, c, h, at, query, key, sees_all(c, query, key));
        put_tile<Each>(own + key, pitch, s);
        EACH_NUMBER(i, j)
        {
            rows[i].top = larger(rows[i].top, s[i][j]);
            sees[i] = sees[i] || s[i][j] != -__builtin_inff();
        }
    }
    UNROLL for (int i = 0; i < Each; i++)
    {
        rows[i].top = larger(join_largest(rows[i].top), sink);
        bool any = any_of_lanes(sees[i]) || sink != -__builtin_inff() || query + Each * at.down + i >= c.queries;
        rows[i].blind = c.blind && !any;
    }

    _Pragma("nounroll") for (int key = range.first; key < range.behind; key += Crosses)
    {
        get_tile<Each>(s, own + key, pitch);
        to_weights<Each>(s, rows);
        put_tile<Each>(own + key, pitch, s);
        EACH_NUMBER(i, j) rows[i].sum = rows[i].sum + s[i][j];
    }
    UNROLL for (int i = 0; i < Each; i++)
    {
        rows[i].sum = join_lanes(rows[i].sum);
        if (c.sinks) rows[i].sum = rows[i].sum + exp(sink - rows[i].top);
        if (rows[i].blind) rows[i].sum = (float)c.keys;
        i64 line = query + Each * at.down + i;
        if (at.across > 0 || line >= c.queries) continue;
        saved[(h.row + line) * strideSaved] = rows[i].top;
        saved[(h.row + line) * strideSaved + 1] = rows[i].sum;
    }

    y += ((i64)tile.sequence * c.queries + query) * strideY + tile.head * c.values;
    _Pragma("nounroll") for (int column = 0; column < c.values; column += 16 * Wide)
    {
        float sums[Each][Wide] = {};
        _Pragma("nounroll") for (int key = range.first; key < range.behind; key += Crosses)
        {
            get_tile<Each>(s, own + key, pitch);
            to_shares<Each>(s, rows, c, at, query, key, sees_all(c, query, key));
            meet();
            lay<Each>(at, s);
            mix<Each, Wide>(sums, at, rows_from(h.v + column, c.strideV, key, range.behind), c.values - column);
        }
        close<Each, Wide>(sums, at, y + column, strideY, queries.count, c.values - column);
    }
}

#define FORWARD(name, wide, blocks) \
    KERNEL THREADS_OF_BLOCKS(128, blocks) name(CALL, float *saved, int strideSaved, float *y, int strideY, float *scratch, int firstTile) \
    { \
        Call c = THE_CALL; \
        forward<wide>(c, saved, strideSaved, y, strideY, scratch, firstTile); \
    }

FORWARD(attention_64, 4, 4)
FORWARD(attention_128, 8, 3)
