#include "gpu.h"

/// Rows of C before the first group and behind the last become 0.
KERNEL zero_outside(VIEW(c), int rows, int columns, const int *offsets, int groups)
{
    int first = offsets[0], inside = offsets[groups] - first;
    i64 count = (i64)(rows - inside) * columns;
    for (i64 i = (i64)block_x() * threads_x() + thread_x(); i < count; i += (i64)blocks_x() * threads_x())
    {
        int row = (int)(i / columns);
        c[(i64)(row < first ? row : row + inside) * c_stride + i % columns] = 0.0f;
    }
}
