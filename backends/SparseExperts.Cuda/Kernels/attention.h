// Tiles of attention's scores. Scores lie in scratch memory from their products on, so that none is computed twice; how much of it there is does not
// depend on how many there are: a call goes in steps (CudaBackend.Attention.cs).
#pragma once
#include "math.h"
#include "rows.h"

typedef float quad __attribute__((ext_vector_type(4)));

/// A tile has 8·Each × Crosses numbers, Each × 4 of them a thread's: lines Each·down to Each·down + Each − 1 and crosses across, across + 16, across + 32,
/// across + 48, so that a thread's crosses are of its lane in sums along a line; a tile of queries has TileQueries lines. Operands come through shared
/// memory, Deep of k at a time, or MixDeep crosses.
enum { TileQueries = 32, Crosses = 64, Deep = 16, MixDeep = 8, Threads = 128, Pitch = Deep + 4 };

#define LINES (8 * Each)
#define LINE_PITCH (LINES + 4)
#define ALIGNED SHARED __attribute__((aligned(16)))
#define UNROLL _Pragma("unroll")
#define EACH_NUMBER(i, j) UNROLL for (int i = 0; i < Each; i++) UNROLL for (int j = 0; j < 4; j++)

/// Rows of a matrix from a tile's first on.
struct Rows
{
    const float *first;
    i64 stride;
    int count;
};

DEVICE Rows rows_from(const float *first, i64 stride, int row, int behind) { return { first + row * stride, stride, behind - row }; }

/// Where a thread stands, and which half of the panels comes next.
struct Place
{
    int thread, across, down, half;
    float *left, *right, *panel, *weights;
};

/// The memory that a block shares, and where this thread stands. Wide numbers of a mixed line are a thread's.
#define PLACE(each, wide)                                                                                                           \
    static ALIGNED float left[2 * (8 * each * Pitch + 32)], right[2 * Crosses * Pitch], panel[2 * MixDeep * (16 * wide + 4)], \
        weights[Crosses * (8 * each + 4)];                                                                                          \
    Place at = { thread_x(), thread_x() % 16, thread_x() / 16, 0, left, right, panel, weights }

/// Numbers k to k + Deep − 1 of every row of a tile, of which this thread brings one k of Count rows.
template <int Count> DEVICE void fetch(float (&values)[Count], const Place &at, const Rows &rows, int k, int depth)
{
    k += at.across;
    int inside = k < depth ? rows.count : 0;
    const float *from = rows.first + at.down * rows.stride + k;
    UNROLL for (int i = 0; i < Count; i++, from += 8 * rows.stride) values[i] = at.down + 8 * i < inside ? *from : 0.0f;
}

/// Four steps of every chain, or as many as are left. Lines of another `down` lie in other banks.
template <int Each> DEVICE void four(float (&s)[Each][4], const float *x, const float *y, int rest)
{
    quad crosses[4];
    UNROLL for (int j = 0; j < 4; j++) crosses[j] = *(const quad *)(y + 16 * j * Pitch);
    UNROLL for (int i = 0; i < Each; i++)
    {
        quad line = *(const quad *)(x + i * Pitch);
        UNROLL for (int k = 0; k < 4; k++)
            if (k < rest)
            {
                UNROLL for (int j = 0; j < 4; j++) s[i][j] = fma(line[k], crosses[j][k], s[i][j]);
            }
    }
}

/// s_ij = Σ_k lines_ik·crosses_jk, each an ascending chain of fused multiply-adds from 0.
template <int Each> DEVICE void dots(float (&s)[Each][4], Place &at, const Rows &lines, const Rows &crosses, int depth)
{
    enum { LeftSize = LINES * Pitch + 32, RightSize = Crosses * Pitch };
    float a[Each], b[Crosses / 8];
    EACH_NUMBER(i, j) s[i][j] = 0.0f;
    fetch(a, at, lines, 0, depth);
    fetch(b, at, crosses, 0, depth);
    _Pragma("nounroll") for (int k = 0; k < depth; k += Deep)
    {
        float *x = at.left + at.half * LeftSize, *y = at.right + at.half * RightSize;
        at.half = 1 - at.half;
        UNROLL for (int i = 0; i < Each; i++)
        {
            int line = at.down + 8 * i;
            x[line * Pitch + line / Each * 4 + at.across] = a[i];
        }
        UNROLL for (int i = 0; i < Crosses / 8; i++) y[(at.down + 8 * i) * Pitch + at.across] = b[i];
        meet();
        fetch(a, at, lines, k + Deep, depth);
        fetch(b, at, crosses, k + Deep, depth);
        x += at.down * (Each * Pitch + 4);
        y += at.across * Pitch;
        int rest = depth - k;
        if (rest >= Deep)
        {
            UNROLL for (int d = 0; d < Deep; d += 4) four<Each>(s, x + d, y + d, 4);
        }
        else
        {
            _Pragma("nounroll") for (int d = 0; d < rest; d += 4) four<Each>(s, x + d, y + d, rest - d);
        }
    }
}

/// The threads' part of a tile goes where mix finds it.
template <int Each> DEVICE void lay(const Place &at, const float (&tile)[Each][4])
{
    UNROLL for (int j = 0; j < 4; j++)
        UNROLL for (int i = 0; i < Each; i += 4)
        {
            quad four = { tile[i][j], tile[i + 1][j], tile[i + 2][j], tile[i + 3][j] };
            *(quad *)(at.weights + (at.across + 16 * j) * LINE_PITCH + Each * at.down + i) = four;
        }
}

/// The column of a thread's number j among 16·Wide.
DEVICE int column_of(const Place &at, int j) { return at.across * 4 + j / 4 * 64 + j % 4; }

/// Numbers of the crosses from c on that this thread brings.
template <int Columns, int Loads> DEVICE void fetch_across(float (&values)[Loads], const Place &at, const Rows &rows, int c, int columns)
{
    enum { Step = Threads / Columns };
    int column = at.thread % Columns, row = c + at.thread / Columns, inside = column < columns ? rows.count : 0;
    const float *from = rows.first + row * rows.stride + column;
    UNROLL for (int i = 0; i < Loads; i++, row += Step, from += Step * rows.stride) values[i] = row < inside ? *from : 0.0f;
}

/// One step of every chain.
template <int Each, int Wide> DEVICE void mix_one(float (&sums)[Each][Wide], const float *w, const float *panel)
{
    quad lines[Each / 4];
    UNROLL for (int i = 0; i < Each / 4; i++) lines[i] = *(const quad *)(w + 4 * i);
    UNROLL for (int j = 0; j < Wide; j += 4)
    {
        quad other = *(const quad *)(panel + 16 * j);
        UNROLL for (int i = 0; i < Each; i++)
            UNROLL for (int l = 0; l < 4; l++) sums[i][j + l] = fma(lines[i / 4][i % 4], other[l], sums[i][j + l]);
    }
}

/// sums_ij = fma(w_ci, row_cj, sums_ij) over the crosses c of a tile in ascending order, w the tile that was laid, row_c the first `columns` numbers of row c.
template <int Each, int Wide> DEVICE void mix(float (&sums)[Each][Wide], Place &at, const Rows &rows, int columns)
{
    enum { Columns = 16 * Wide, PanelPitch = Columns + 4, Loads = MixDeep * Columns / Threads };
    int count = rows.count < Crosses ? rows.count : Crosses;
    float values[Loads];
    fetch_across<Columns>(values, at, rows, 0, columns);
    _Pragma("nounroll") for (int c = 0; c < count; c += MixDeep)
    {
        float *panel = at.panel + at.half * MixDeep * PanelPitch;
        at.half = 1 - at.half;
        UNROLL for (int i = 0; i < Loads; i++) panel[(at.thread / Columns + i * (Threads / Columns)) * PanelPitch + at.thread % Columns] = values[i];
        meet();
        fetch_across<Columns>(values, at, rows, c + MixDeep, columns);
        int rest = count - c;
        const float *w = at.weights + c * LINE_PITCH + Each * at.down;
        panel += 4 * at.across;
        if (rest >= MixDeep)
        {
            UNROLL for (int d = 0; d < MixDeep; d++) mix_one<Each, Wide>(sums, w + d * LINE_PITCH, panel + d * PanelPitch);
        }
        else
        {
            _Pragma("nounroll") for (int d = 0; d < rest; d++) mix_one<Each, Wide>(sums, w + d * LINE_PITCH, panel + d * PanelPitch);
        }
    }
}

/// Chains start from what is there, or from 0.
template <int Each, int Wide>
DEVICE void open(float (&sums)[Each][Wide], const Place &at, const float *from, i64 stride, int rows, int columns, int accumulate)
{
    UNROLL for (int i = 0; i < Each; i++)
        UNROLL for (int j = 0; j < Wide; j++)
        {
            int row = Each * at.down + i, column = column_of(at, j);
            sums[i][j] = accumulate && row < rows && column < columns ? from[row * stride + column] : 0.0f;
        }
}

/// No zero is negative, so that keys that are not seen may be left out.
template <int Each, int Wide> DEVICE void close(const float (&sums)[Each][Wide], const Place &at, float *to, i64 stride, int rows, int columns)
{
    UNROLL for (int i = 0; i < Each; i++)
        UNROLL for (int j = 0; j < Wide; j++)
        {
            int row = Each * at.down + i, column = column_of(at, j);
            if (row < rows && column < columns) to[row * stride + column] = sums[i][j] + 0.0f;
        }
}

/// A call's arguments, with row 0 of each matrix; bias, pad and sinks may be null.
struct Call
{
    const float *q, *k, *v, *bias, *pad, *sinks;
    i64 strideQ, strideK, strideV, strideBias, stridePad;
    int padsQueries, queries, keys, heads, group, width, values, causal, offset, window, blind;
    float scale;
};

#define CALL                                                                                                                                      \
    const float *q, int strideQ, const float *k, int strideK, const float *v, int strideV, const float *bias, int strideBias, const float *pad,  \
        int stridePad, int padsQueries, const float *sinks, int queries, int keys, int heads, int group, int width, int values, float scale,      \
        int causal, int offset, int window, int blind

#define THE_CALL                                                                                                                                  \
    { q, k, v, bias, pad, sinks, strideQ, strideK, strideV, strideBias, stridePad, padsQueries, queries, keys, heads, group, width, values, causal, \
      offset, window, blind, scale }

/// The keys that a query sees; of a query behind the last, none.
struct Range
{
    int first, behind;
};

DEVICE Range seen(const Call &c, int query)
{
    int behind = c.keys, first = 0;
    if (c.causal && query + 1 + c.offset < behind) behind = query + 1 + c.offset;
    behind = behind < 0 ? 0 : behind;
    if (c.window) first = query + c.offset - c.window + 1;
    first = first < 0 ? 0 : first > behind ? behind : first;
    return query < c.queries ? Range{ first, behind } : Range{ 0, 0 };
}

/// The keys that a tile of queries sees, from a tile of keys on; where a query that sees none has all of them, all.
DEVICE Range seen_by_tile(const Call &c, int query)
{
    if (c.blind) return { 0, c.keys };
    int last = query + TileQueries < c.queries ? query + TileQueries - 1 : c.queries - 1;
    return { seen(c, query).first & -Crosses, seen(c, last).behind };
}

/// A tile of queries of one head, by its number among all: tiles of a head are neighbours, and so are heads of a sequence.
struct Tile
{
    int sequence, head, query;
};

DEVICE int tiles_of_head(const Call &c) { return (c.queries + TileQueries - 1) / TileQueries; }

DEVICE Tile tile_of(const Call &c, int number)
{
    int tiles = tiles_of_head(c), part = number / tiles;
    return { part / c.heads, part % c.heads, number % tiles * TileQueries };
}

/// Which of a launch's tiles a block has: where the launch has whole heads, their last tiles are begun first, which see most keys.
DEVICE int slot_of(const Call &c, int tiles)
{
    int ofHead = tiles_of_head(c), heads = tiles / ofHead, block = block_x();
    return heads * ofHead == tiles ? block % heads * ofHead + ofHead - 1 - block / heads : tiles - 1 - block;
}

/// Numbers of scratch memory between the lines of a tile.
DEVICE i64 scratch_pitch(const Call &c) { return (c.keys + Crosses - 1) / Crosses * Crosses; }

/// Where this thread's first number of a tile of scores lies that was the `slot`-th of its launch.
template <int Each> DEVICE float *own_scratch(float *scratch, const Call &c, const Place &at, i64 slot)
{
    return scratch + (slot * TileQueries + Each * at.down) * scratch_pitch(c) + at.across;
}

template <int Each> DEVICE void put_tile(float *own, i64 pitch, const float (&tile)[Each][4])
{
    EACH_NUMBER(i, j) own[i * pitch + 16 * j] = tile[i][j];
}

template <int Each> DEVICE void get_tile(float (&tile)[Each][4], const float *own, i64 pitch)
{
    EACH_NUMBER(i, j) tile[i][j] = own[i * pitch + 16 * j];
}

/// A head of a sequence: the rows of its queries, keys and values, and what is added to its scores.
struct Head
{
    const float *q, *k, *v, *bias, *pad;
    i64 row;                              // of its first query among the rows of scores
};

DEVICE Head head_of(const Call &c, int sequence, int head)
{
    i64 query = (i64)sequence * c.queries, key = (i64)sequence * c.keys;
    return {
        c.q + query * c.strideQ + head * c.width, c.k + key * c.strideK + head / c.group * c.width, c.v + key * c.strideV + head / c.group * c.values,
        c.bias + (i64)head * c.queries * c.strideBias, c.pad + (c.padsQueries ? query : (i64)sequence) * c.stridePad,
        ((i64)sequence * c.heads + head) * c.queries,
    };
}

/// What the backward kernels are given of a query: its largest score and its sum; of one that sees all keys alike, −∞ and their number.
struct Row
{
    float top, sum;
    bool blind;
};

DEVICE Row row_of(const Call &c, const float *saved, i64 strideSaved, i64 row, int query)
{
    if (query >= c.queries) return { 0.0f, 1.0f, false };
    float top = saved[(row + query) * strideSaved], sum = saved[(row + query) * strideSaved + 1];
    return { top, sum, c.blind && top == -__builtin_inff() && !is_nan(sum) };
}

/// Whether every query of a tile sees all keys of a tile of keys, as most do: then none is looked at.
DEVICE bool sees_all(const Call &c, int query, int key)
{
    return query + TileQueries <= c.queries && key >= seen(c, query + TileQueries - 1).first && key + Crosses <= seen(c, query).behind;
}

/// What `sight` does to a thread's numbers of the tile that begins at `query` and `key`, by whether the query of each sees its key.
template <int Each, class Sight>
DEVICE void each_sight(const Call &c, const Row (&rows)[Each], const Place &at, int query, int key, Sight sight)
{
    query = afresh(query) + Each * at.down;
    key += at.across;
    UNROLL for (int i = 0; i < Each; i++)
    {
        Range keys = rows[i].blind ? Range{ 0, c.keys } : seen(c, query + i);
        UNROLL for (int j = 0; j < 4; j++) sight(i, j, query + i, key + 16 * j, key + 16 * j >= keys.first && key + 16 * j < keys.behind);
    }
}

/// Products become scores, −∞ where a query does not look.
template <int Each>
DEVICE void to_scores(float (&s)[Each][4], const Row (&rows)[Each], const Call &c, const Head &h, const Place &at, int query, int key, bool seesAll)
{
    EACH_NUMBER(i, j) s[i][j] = s[i][j] * c.scale;
    if (seesAll && !c.bias && !c.pad) return;
    i64 stride = c.padsQueries ? c.stridePad : 0;
    each_sight<Each>(c, rows, at, query, key, [&](int i, int j, int line, int cross, bool sees)
    {
        if (sees && c.bias) s[i][j] = s[i][j] + h.bias[line * c.strideBias + cross];
        if (sees && c.pad) s[i][j] = s[i][j] + h.pad[line * stride + cross];
        if (!sees) s[i][j] = -__builtin_inff();
    });
}

/// Scores become e to the distance below the largest; of a query that sees all keys alike, 1.
template <int Each> DEVICE void to_weights(float (&s)[Each][4], const Row (&rows)[Each])
{
    EACH_NUMBER(i, j)
    {
        float weight = exp(s[i][j] - rows[i].top);
        s[i][j] = rows[i].blind ? 1.0f : weight;
    }
}

/// Weights become probabilities.
template <int Each>
DEVICE void to_shares(float (&s)[Each][4], const Row (&rows)[Each], const Call &c, const Place &at, int query, int key, bool seesAll)
{
    EACH_NUMBER(i, j) s[i][j] = s[i][j] / rows[i].sum;
    if (seesAll) return;
    each_sight<Each>(c, rows, at, query, key, [&](int i, int j, int, int, bool sees)
    {
        if (!sees) s[i][j] = 0.0f;
    });
}

/// Whether any thread of a half-warp says so.
DEVICE bool any_of_lanes(bool one) { return join_largest(one ? 1.0f : 0.0f) > 0.0f; }
