// Attention tile by tile (docs/numerics.md): first the largest score of each query, then the sum of its weights in sixteen lanes, then the values' products
// over ascending keys.
#include "attention.h"

/// Whether any thread of the block says so; all get there.
DEVICE bool any_of_block(const Place &at, float *flags, bool one)
{
    float any = any_of_lanes(one) ? 1.0f : 0.0f;
    if (at.across == 0) flags[at.down] = any;
    meet();
    float sum = 0.0f;
    for (int i = 0; i < Threads / 16; i++) sum = sum + flags[i];
    return sum > 0.0f;
}

enum Sweep { Largest, Sum, Mix };

/// y = P·V for a tile of queries of one head and 16·Wide columns of its values; the queries' largest scores and sums go to `saved`.
template <int Wide> DEVICE void forward(const Call &c, float *saved, i64 strideSaved, float *y, i64 strideY)
{
    PLACE(Wide);
    static SHARED float flags[Threads / 16];
    int tiles = (c.queries + Lines - 1) / Lines, firstQuery = (tiles - 1 - block_x() % tiles) * Lines, part = block_x() / tiles;
    int sequence = part / c.heads, head = part % c.heads, column = block_y() * 16 * Wide;
    Head h = head_of(c, sequence, head);
    Rows queries = rows_from(h.q, c.strideQ, firstQuery, c.queries);
    Range tile = seen_by_tile(c, firstQuery);
    float sink = c.sinks ? c.sinks[head] : -__builtin_inff(), s[4][4], sums[4][Wide] = {};
    Row rows[4];
    bool sees[4] = {};
    UNROLL for (int i = 0; i < 4; i++) rows[i] = { -__builtin_inff(), 0.0f, seen(c, firstQuery + 4 * at.down + i), false };

    _Pragma("nounroll") for (int sweep = Largest; sweep <= Mix; sweep++)
    {
        _Pragma("nounroll") for (int key = tile.first; key < tile.behind; key += Crosses)
        {
            Corner first = { firstQuery, key };
            dots(s, at, queries, rows_from(h.k, c.strideK, key, c.keys), c.width);
            to_scores<AsLines>(s, rows, c, h, at, first);
            if (sweep == Largest)
            {
                EACH_NUMBER(i, j)
                {
                    rows[i].top = larger(rows[i].top, s[i][j]);
                    sees[i] = sees[i] || s[i][j] != -__builtin_inff();
                }
                continue;
            }
            to_weights<AsLines>(s, rows);
            if (sweep == Sum)
            {
                EACH_NUMBER(i, j) rows[i].sum = rows[i].sum + s[i][j];
                continue;
            }
            to_shares<AsLines>(s, rows, at, first);
            lay(at, s);
            Rows values = rows_from(h.v + column, c.strideV, key, tile.behind);
            values.count = values.count < Crosses ? values.count : Crosses;
            mix<Wide>(sums, at, values, c.values - column);
        }
        if (sweep == Largest)
        {
            UNROLL for (int i = 0; i < 4; i++)
            {
                rows[i].top = larger(join_largest(rows[i].top), sink);
                bool any = any_of_lanes(sees[i]) || sink != -__builtin_inff() || firstQuery + 4 * at.down + i >= c.queries;
                rows[i].blind = c.blind && !any;
            }
        }
        if (sweep == Sum)
        {
            bool blind = false;
            UNROLL for (int i = 0; i < 4; i++)
            {
                rows[i].sum = join_lanes(rows[i].sum);
                if (c.sinks) rows[i].sum = rows[i].sum + exp(sink - rows[i].top);
                if (rows[i].blind)
                {
                    rows[i].sum = (float)c.keys;
                    rows[i].keys = { 0, c.keys };
                }
                blind = blind || rows[i].blind;
                i64 query = firstQuery + 4 * at.down + i;
                if (block_y() > 0 || at.across > 0 || query >= c.queries) continue;
                saved[(h.row + query) * strideSaved] = rows[i].top;
                saved[(h.row + query) * strideSaved + 1] = rows[i].sum;
            }
            if (c.blind && any_of_block(at, flags, blind)) tile = { 0, c.keys };
        }
    }
    y += ((i64)sequence * c.queries + firstQuery) * strideY + head * c.values + column;
    close(sums, at, y, strideY, queries.count, c.values - column);
}

#define FORWARD(name, wide) \
    KERNEL THREADS(128) name(CALL, float *saved, int strideSaved, float *y, int strideY) \
    { \
        Call c = THE_CALL; \
        forward<wide>(c, saved, strideSaved, y, strideY); \
    }

FORWARD(attention_64, 4)
FORWARD(attention_128, 8)
