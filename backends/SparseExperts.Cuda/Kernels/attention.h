// Tiles of attention's scores. No kernel keeps more of them than one tile: whoever needs a score again computes it again, with the same bits.
#pragma once
#include "math.h"
#include "rows.h"

typedef float quad __attribute__((ext_vector_type(4)));

/// A tile has Lines × Crosses numbers, 4 × 4 of them a thread's: lines 4·down to 4·down + 3 and crosses across, across + 16, across + 32, across + 48, so
/// that a thread's crosses are of its lane in sums along a line. Operands come through shared memory, Deep of k at a time, or MixDeep crosses.
enum { Lines = 32, Crosses = 64, Deep = 16, MixDeep = 8, Threads = 128, LinePitch = Lines + 4, CrossPitch = Crosses + 4 };

#define ALIGNED SHARED __attribute__((aligned(16)))
#define UNROLL _Pragma("unroll")

/// Rows of a matrix from a tile's first on.
struct Rows
{
    const float *first;
    i64 stride;
    int count;
};

/// Where a thread stands, and which half of the panels comes next.
struct Place
{
    int thread, across, down, half;
    float *left, *right, *panel, *weights;
};

/// The memory that a block shares, and where this thread stands. Wide numbers of a mixed line are a thread's.
#define PLACE(wide)                                                                                                                              \
    static ALIGNED float left[2 * Deep * LinePitch], right[2 * Deep * CrossPitch], panel[2 * MixDeep * (16 * wide + 4)], weights[Crosses * LinePitch]; \
    Place at = { thread_x(), thread_x() % 16, thread_x() / 16, 0, left, right, panel, weights }

/// Numbers k to k + Deep − 1 of every row of a tile, of which this thread brings one k of Count rows.
template <int Count> DEVICE void fetch(float (&values)[Count], const Place &at, const Rows &rows, int k, int depth)
{
    k += at.across;
    int inside = k < depth ? rows.count : 0;
    const float *from = rows.first + at.down * rows.stride + k;
    UNROLL for (int i = 0; i < Count; i++, from += 8 * rows.stride) values[i] = at.down + 8 * i < inside ? *from : 0.0f;
}

/// s_ij = Σ_k lines_ik·crosses_jk, each an ascending chain of fused multiply-adds from 0.
DEVICE void dots(float (&s)[4][4], Place &at, const Rows &lines, const Rows &crosses, int depth)
{
    float a[Lines / 8], b[Crosses / 8];
    UNROLL for (int i = 0; i < 16; i++) s[i / 4][i % 4] = 0.0f;
    fetch(a, at, lines, 0, depth);
    fetch(b, at, crosses, 0, depth);
    _Pragma("nounroll") for (int k = 0; k < depth; k += Deep)
    {
        float *x = at.left + at.half * Deep * LinePitch, *y = at.right + at.half * Deep * CrossPitch;
        at.half = 1 - at.half;
        UNROLL for (int i = 0; i < Lines / 8; i++) x[at.across * LinePitch + at.down + 8 * i] = a[i];
        UNROLL for (int i = 0; i < Crosses / 8; i++) y[at.across * CrossPitch + (at.down + 8 * i) % 16 * 4 + i / 2] = b[i];
        meet();
        fetch(a, at, lines, k + Deep, depth);
        fetch(b, at, crosses, k + Deep, depth);
        int rest = depth - k < Deep ? depth - k : Deep;
        x += 4 * at.down;
        y += 4 * at.across;
        _Pragma("unroll 4") for (int d = 0; d < rest; d++, x += LinePitch, y += CrossPitch)
        {
            quad one = *(const quad *)x, other = *(const quad *)y;
            UNROLL for (int i = 0; i < 4; i++)
                UNROLL for (int j = 0; j < 4; j++) s[i][j] = fma(one[i], other[j], s[i][j]);
        }
    }
}

/// The threads' part of a tile goes where mix finds it.
DEVICE void lay(const Place &at, const float (&tile)[4][4])
{
    UNROLL for (int j = 0; j < 4; j++)
    {
        quad four = { tile[0][j], tile[1][j], tile[2][j], tile[3][j] };
        *(quad *)(at.weights + (at.across + 16 * j) * LinePitch + 4 * at.down) = four;
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

/// sums_ij = fma(w_ci, row_cj, sums_ij) over the crosses c of a tile in ascending order, w the tile that was laid, row_c the first `columns` numbers of row c.
template <int Wide> DEVICE void mix(float (&sums)[4][Wide], Place &at, const Rows &rows, int columns)
{
    enum { Columns = 16 * Wide, Pitch = Columns + 4, Loads = MixDeep * Columns / Threads };
    float values[Loads];
    fetch_across<Columns>(values, at, rows, 0, columns);
    _Pragma("nounroll") for (int c = 0; c < rows.count; c += MixDeep)
    {
        float *panel = at.panel + at.half * MixDeep * Pitch;
        at.half = 1 - at.half;
        UNROLL for (int i = 0; i < Loads; i++) panel[(at.thread / Columns + i * (Threads / Columns)) * Pitch + at.thread % Columns] = values[i];
        meet();
        fetch_across<Columns>(values, at, rows, c + MixDeep, columns);
        int rest = rows.count - c < MixDeep ? rows.count - c : MixDeep;
        const float *w = at.weights + c * LinePitch + 4 * at.down;
        panel += 4 * at.across;
        _Pragma("unroll 4") for (int d = 0; d < rest; d++, w += LinePitch, panel += Pitch)
        {
            quad one = *(const quad *)w;
            UNROLL for (int j = 0; j < Wide; j += 4)
            {
                quad other = *(const quad *)(panel + 16 * j);
                UNROLL for (int i = 0; i < 16; i++) sums[i / 4][j + i % 4] = fma(one[i / 4], other[i % 4], sums[i / 4][j + i % 4]);
            }
        }
    }
}

/// Chains start from what is there, or from 0.
template <int Wide> DEVICE void open(float (&sums)[4][Wide], const Place &at, const float *from, i64 stride, int rows, int columns, int accumulate)
{
    UNROLL for (int i = 0; i < 4; i++)
        UNROLL for (int j = 0; j < Wide; j++)
        {
            int row = 4 * at.down + i, column = column_of(at, j);
            sums[i][j] = accumulate && row < rows && column < columns ? from[row * stride + column] : 0.0f;
        }
}

/// No zero is negative, so that keys that are not seen may be left out.
template <int Wide> DEVICE void close(const float (&sums)[4][Wide], const Place &at, float *to, i64 stride, int rows, int columns)
{
    UNROLL for (int i = 0; i < 4; i++)
        UNROLL for (int j = 0; j < Wide; j++)
        {
            int row = 4 * at.down + i, column = column_of(at, j);
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

/// The keys that a tile of queries sees, from a lane 0 on.
DEVICE Range seen_by_tile(const Call &c, int query)
{
    int last = query + Lines < c.queries ? query + Lines - 1 : c.queries - 1;
    return { seen(c, query).first & -16, seen(c, last).behind };
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

DEVICE Rows rows_from(const float *first, i64 stride, int row, int behind) { return { first + row * stride, stride, behind - row }; }

/// Whether the queries of a tile are its lines or its crosses; the keys are the others.
enum Queries { AsLines, AsCrosses };

/// A tile of queries and keys: the first of each.
struct Corner
{
    int query, key;
};

/// The query or key of a thread's number (i, j).
template <Queries Are> DEVICE Corner at_corner(const Place &at, const Corner &first, int i, int j)
{
    int line = 4 * at.down + i, cross = at.across + 16 * j;
    return Are == AsLines ? Corner{ first.query + line, first.key + cross } : Corner{ first.query + cross, first.key + line };
}

/// What the backward kernels are given of a query: its largest score and its sum; of one that sees all keys alike, −∞ and their number.
struct Row
{
    float top, sum;
    Range keys;
    bool blind;
};

DEVICE Row row_of(const Call &c, const float *saved, i64 strideSaved, i64 row, int query)
{
    if (query >= c.queries) return { 0.0f, 1.0f, { 0, 0 }, false };
    float top = saved[(row + query) * strideSaved], sum = saved[(row + query) * strideSaved + 1];
    bool blind = c.blind && top == -__builtin_inff() && !is_nan(sum);
    return { top, sum, blind ? Range{ 0, c.keys } : seen(c, query), blind };
}

#define EACH_NUMBER(i, j) UNROLL for (int i = 0; i < 4; i++) UNROLL for (int j = 0; j < 4; j++)

/// Whether a thread's number (i, j) is a key that its query sees.
#define SEEN(i, j)                                              \
    Corner own = at_corner<Are>(at, first, i, j);               \
    const Row &row = rows[Are == AsLines ? i : j];              \
    bool sees = own.key >= row.keys.first && own.key < row.keys.behind

/// Products become scores, −∞ where a query does not look.
template <Queries Are> DEVICE void to_scores(float (&s)[4][4], const Row (&rows)[4], const Call &c, const Head &h, const Place &at, const Corner &first)
{
    EACH_NUMBER(i, j) s[i][j] = s[i][j] * c.scale;
    if (c.bias)
    {
        EACH_NUMBER(i, j)
        {
            SEEN(i, j);
            if (sees) s[i][j] = s[i][j] + h.bias[own.query * c.strideBias + own.key];
        }
    }
    if (c.pad)
    {
        i64 stride = c.padsQueries ? c.stridePad : 0;
        EACH_NUMBER(i, j)
        {
            SEEN(i, j);
            if (sees) s[i][j] = s[i][j] + h.pad[own.query * stride + own.key];
        }
    }
    EACH_NUMBER(i, j)
    {
        SEEN(i, j);
        s[i][j] = sees ? s[i][j] : -__builtin_inff();
    }
}

/// Scores become e to the distance below the largest; of a query that sees all keys alike, 1.
template <Queries Are> DEVICE void to_weights(float (&s)[4][4], const Row (&rows)[4])
{
    EACH_NUMBER(i, j)
    {
        const Row &row = rows[Are == AsLines ? i : j];
        float weight = exp(s[i][j] - row.top);
        s[i][j] = row.blind ? 1.0f : weight;
    }
}

/// Weights become probabilities.
template <Queries Are> DEVICE void to_shares(float (&s)[4][4], const Row (&rows)[4], const Place &at, const Corner &first)
{
    EACH_NUMBER(i, j)
    {
        SEEN(i, j);
        s[i][j] = sees ? s[i][j] / row.sum : 0.0f;
    }
}

/// Whether any thread of a half-warp says so.
DEVICE bool any_of_lanes(bool one) { return join_largest(one ? 1.0f : 0.0f) > 0.0f; }
