#include "slices.h"

/// Rows of C before the first group and behind the last become 0.
DEVICE void zero_rows_outside(float *c, int c_stride, int rows, int columns, const int *offsets, int groups)
{
    int first = offsets[0], inside = offsets[groups] - first;
    i64 count = (i64)(rows - inside) * columns;
    for (i64 i = (i64)block_x() * threads_x() + thread_x(); i < count; i += (i64)blocks_x() * threads_x())
    {
        int row = (int)(i / columns);
        c[(i64)(row < first ? row : row + inside) * c_stride + i % columns] = 0.0f;
    }
}

/// Slices of A·op(B_g) for groups of rows of A: as many as any offsets could give, group by group, those that are not needed without columns. With several
/// leaves every block of k has slices of its own, whose sums lie `part` elements apart. With C its rows of no group become 0.
KERNEL grouped_slices(Slice *slices, const int *offsets, int groups, int side, int perLeaf, int leaves, const int *starts, int columns, int depth,
    i64 lineA, i64 alongA, i64 alongB, i64 matrixB, i64 lineC, i64 part, int end, VIEW(c), int rows)
{
    if (c) zero_rows_outside(c, c_stride, rows, columns, offsets, groups);
    int index = block_x() * threads_x() + thread_x();
    if (index >= perLeaf * leaves) return;
    int leaf = index / perLeaf, tile = index % perLeaf, group = 0;
    for (; group < groups; group++)
    {
        int tiles = (offsets[group + 1] - offsets[group] + side - 1) / side;
        if (tile < tiles) break;
        tile -= tiles;
    }
    Slice slice = {0, 0, 0, 0, 0, 0, 0};
    if (group < groups)
    {
        int row = offsets[group] + tile * side, rest = offsets[group + 1] - row, start = leaves > 1 ? starts[leaf] : 0;
        slice.a = row * lineA + start * alongA;
        slice.b = group * matrixB + start * alongB;
        slice.c = row * lineC + leaf * part;
        slice.rows = rest < side ? rest : side;
        slice.depth = leaves > 1 ? starts[leaf + 1] - start : depth;
        slice.start = leaf == 0 ? end : 0;
        slice.columns = depth == 0 && end == StartsAtC ? 0 : columns;       // C stays what it is
    }
    slices[index] = slice;
}

/// Slices of A_gᵀ·C_g for groups of rows, `blocks` of them a group; groups of many rows come first, for they take longest.
KERNEL grouped_outer_slices(Slice *slices, const int *offsets, int groups, int side, int blocks, int rows, int columns,
    int strideA, int strideC, int strideB, int end)
{
    int index = block_x() * threads_x() + thread_x();
    if (index >= groups * blocks) return;
    int group = index / blocks, row = index % blocks * side, first = offsets[group], depth = offsets[group + 1] - first, rank = 0;
    for (int g = 0; g < groups; g++)
    {
        int other = offsets[g + 1] - offsets[g];
        rank += other > depth || (other == depth && g < group);
    }
    Slice slice;
    slice.a = (i64)first * strideA + row;
    slice.b = (i64)first * strideC;
    slice.c = ((i64)group * rows + row) * strideB;
    slice.rows = rows - row < side ? rows - row : side;
    slice.columns = depth == 0 && end == StartsAtC ? 0 : columns;
    slice.depth = depth;
    slice.start = end;
    slices[rank * blocks + index % blocks] = slice;
}

KERNEL zero_outside(VIEW(c), int rows, int columns, const int *offsets, int groups) { zero_rows_outside(c, c_stride, rows, columns, offsets, groups); }
