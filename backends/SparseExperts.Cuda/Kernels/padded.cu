#include "elements.h"

// Groups of rows in tiles of equal height, so that cuBLAS, which wants one shape, multiplies groups whose sizes nobody told the host. A tile's rows behind
// its last are 0.

/// Rows of one group: the first of them and how many.
struct Tile
{
    int first, rows;
};

/// As many tiles of `side` rows as any offsets could give, group by group, those that are not needed without rows; with `whole` groups a tile each. And
/// where the factors and the product of every tile lie: all right ones, then all left ones, then all products.
KERNEL padded_tiles(Tile *tiles, u64 *addresses, int count, const int *offsets, int groups, int side, int whole, const float *right, i64 rightStep,
    const float *left, i64 leftStep, const float *product, i64 productStep)
{
    int index = block_x() * threads_x() + thread_x();
    if (index >= count) return;
    int group = 0, tile = index;
    for (; group < groups; group++)
    {
        int needed = whole ? 1 : (offsets[group + 1] - offsets[group] + side - 1) / side;
        if (tile < needed) break;
        tile -= needed;
    }
    bool there = group < groups;
    int first = there ? offsets[group] + tile * side : 0, rest = there ? offsets[group + 1] - first : 0;
    tiles[index].first = first;
    tiles[index].rows = rest < side ? rest : side;
    addresses[index] = (u64)(right + (there ? group : 0) * rightStep);
    addresses[count + index] = (u64)(left + index * leftStep);
    addresses[2 * (i64)count + index] = (u64)(product + index * productStep);
}

/// Rows of X into their tiles.
KERNEL pad_rows(VIEW(y), SOURCE(x), int rows, int columns, const Tile *tiles, int side)
{
    EACH_ELEMENT(rows, columns)
    {
        Tile tile = tiles[row / side];
        int own = row % side;
        AT(y) = own < tile.rows ? x[(i64)(tile.first + own) * x_stride + column] : 0.0f;
    }
}

/// Rows of tiles back to where they came from.
KERNEL unpad_rows(SOURCE(x), VIEW(y), int rows, int columns, const Tile *tiles, int side, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        Tile tile = tiles[row / side];
        int own = row % side;
        if (own < tile.rows) put(y + (i64)(tile.first + own) * y_stride + column, AT(x), accumulate);
    }
}
