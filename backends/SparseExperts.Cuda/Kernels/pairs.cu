// Two products in one launch, or one of them: A·op(B) on rows, and Xᵀ·Y, which is over rows. Their slices are in tables, or, with offsets, are those of
// groups of rows, and every block of threads finds its own.
#include "activations.h"
#include "product.h"

/// What becomes of C besides: H = f(C) beside it, or C = C·f'(H).
enum { JustC, Activates, Slopes };

DEVICE void finish(float *c, float *h, int kind, int end)
{
    if (end == Activates) *h = value_of(kind, *c);
    if (end == Slopes) *c = *c * slope_of(kind, *h);
}

/// Rows of C before the first group and behind the last become 0, in turn for every of `parts` that lie `apart` elements from each other, and are finished.
DEVICE void zero_rows_outside(float *c, i64 strideC, int rows, int columns, const int *offsets, int groups, int parts, i64 apart, int block, int blocks,
    float *h, int kind, int end)
{
    int first = offsets[0], inside = offsets[groups] - first;
    i64 count = (i64)(rows - inside) * columns * parts;
    for (i64 i = (i64)block * threads_x() + thread_x(); i < count; i += (i64)blocks * threads_x())
    {
        int row = (int)(i / columns % (rows - inside));
        i64 place = (i64)(row < first ? row : row + inside) * strideC + i % columns + i / columns / (rows - inside) * apart;
        c[place] = 0.0f;
        finish(c + place, h + place, kind, end);
    }
}

/// The tile of C that this block of threads has written. H lies as C does.
DEVICE void finish_tile(const Slice &slice, int tile, int side, float *c, i64 strideC, float *h, int kind, int end)
{
    meet();
    for (int i = thread_x(); i < slice.rows * side; i += threads_x())
    {
        int column = tile * side + i % side;
        i64 place = slice.c + i / side * strideC + column;
        if (column < slice.columns) finish(c + place, h + place, kind, end);
    }
}

/// Slice `index` of A·op(B_g) for groups of rows of A: as many as any offsets could give, group by group, those that are not needed without columns. With
/// several leaves every block of k has slices of its own, whose sums lie `part` elements apart.
DEVICE Slice slice_of_rows(int index, const int *offsets, int groups, int side, int perLeaf, int leaves, const int *starts, int columns, int depth,
    i64 lineA, i64 alongB, i64 matrixB, i64 lineC, i64 part, int end)
{
    int leaf = index / perLeaf, tile = index % perLeaf, group = 0;
    for (; group < groups; group++)
    {
        int tiles = (offsets[group + 1] - offsets[group] + side - 1) / side;
        if (tile < tiles) break;
        tile -= tiles;
    }
    Slice slice = {0, 0, 0, 0, 0, 0, 0};
    if (group == groups) return slice;
    int row = offsets[group] + tile * side, rest = offsets[group + 1] - row, start = leaves > 1 ? starts[leaf] : 0;
    slice.a = row * lineA + start;
    slice.b = group * matrixB + start * alongB;
    slice.c = row * lineC + leaf * part;
    slice.rows = rest < side ? rest : side;
    slice.depth = leaves > 1 ? starts[leaf + 1] - start : depth;
    slice.start = leaf == 0 ? end : 0;
    slice.columns = depth == 0 && end == StartsAtC ? 0 : columns;       // C stays what it is
    return slice;
}

/// Slice `index` of X_gᵀ·Y_g for groups of rows, `blocks` of them a group; groups of many rows come first, for they take longest.
DEVICE Slice slice_over_rows(int index, const int *offsets, int groups, int side, int blocks, int rows, int columns, i64 strideX, i64 strideY, i64 strideW,
    int end)
{
    static SHARED int found;
    for (int group = thread_x(); group < groups; group += threads_x())
    {
        int own = offsets[group + 1] - offsets[group], rank = 0;
        for (int g = 0; g < groups; g++)
        {
            int other = offsets[g + 1] - offsets[g];
            rank += other > own || (other == own && g < group);
        }
        if (rank == index / blocks) found = group;
    }
    meet();
    int group = found, row = index % blocks * side, first = offsets[group], depth = offsets[group + 1] - first;
    Slice slice;
    slice.a = first * strideX + row;
    slice.b = first * strideY;
    slice.c = ((i64)group * rows + row) * strideW;
    slice.rows = rows - row < side ? rows - row : side;
    slice.columns = depth == 0 && end == StartsAtC ? 0 : columns;
    slice.depth = depth;
    slice.start = end;
    return slice;
}

/// The first `rowBlocks` blocks have A·op(B): C is written on slices from `firstSlice` on, and with `rows` its rows of no group become 0. The others have
/// Xᵀ·Y. Stack, counts and joins are those of the first product; the chains of the other are whole.
#define PAIR(name, side, each, deep, bounds) \
    KERNEL __attribute__((bounds)) name(const int *offsets, int groups, int rowBlocks, \
        const float *a, i64 lineA, const float *b, i64 lineB, i64 depthB, i64 matrixB, float *c, i64 lineC, int columnsC, int depth, \
        const Slice *ofRows, int firstSlice, int perLeaf, int parts, const int *starts, i64 part, int endC, int rows, \
        const int *counts, const int *joins, int leaves, float *stack, float *h, int kind, int finishes, \
        const float *x, i64 lineX, const float *y, i64 lineY, float *w, i64 lineW, int rowsW, int columnsW, const Slice *overRows, int endW) \
    { \
        bool isOfRows = block_x() < rowBlocks; \
        int block = isOfRows ? block_x() : block_x() - rowBlocks; \
        int tiles = ((isOfRows ? columnsC : columnsW) + side - 1) / side, index = block / tiles; \
        Slice slice; \
        if (isOfRows) \
        { \
            if (rows) zero_rows_outside(c, lineC, rows, columnsC, offsets, groups, parts, part, block, rowBlocks, h, kind, finishes); \
            slice = ofRows ? ofRows[index + firstSlice] : slice_of_rows( \
                index + firstSlice, offsets, groups, side, perLeaf, parts, starts, columnsC, depth, lineA, depthB, matrixB, lineC, part, endC); \
        } \
        else slice = overRows ? overRows[index] : slice_over_rows( \
            index, offsets, groups, side, (rowsW + side - 1) / side, rowsW, columnsW, lineX, lineY, lineW, endW); \
        product<side, each, deep>( \
            isOfRows ? a : x, isOfRows ? lineA : 1, isOfRows ? 1 : lineX, isOfRows ? b : y, isOfRows ? lineB : 1, isOfRows ? depthB : lineY, \
            isOfRows ? c : w, isOfRows ? c : w, isOfRows ? lineC : lineW, slice, block % tiles, counts, joins, isOfRows ? leaves : 1, stack); \
        if (isOfRows && finishes) finish_tile(slice, block % tiles, side, c, lineC, h, kind, finishes); \
    }

PAIR(pair_128, 128, 8, 8, launch_bounds(256, 2))
PAIR(pair_64, 64, 8, 8, launch_bounds(64))
PAIR(pair_32, 32, 4, 8, launch_bounds(64))
