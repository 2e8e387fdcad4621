#include "gpu.h"

/// Every element of a matrix becomes one value. A thread an element.
KERNEL fill(float *y, int stride, int rows, int columns, float value)
{
    i64 element = (i64)block_x() * threads_x() + thread_x();
    if (element >= (i64)rows * columns) return;
    int row = (int)(element / columns), column = (int)(element % columns);
    y[(i64)row * stride + column] = value;
}

/// Row-by-row copy between views. A thread an element.
KERNEL copy(const float *x, int strideX, float *y, int strideY, int rows, int columns)
{
    i64 element = (i64)block_x() * threads_x() + thread_x();
    if (element >= (i64)rows * columns) return;
    int row = (int)(element / columns), column = (int)(element % columns);
    y[(i64)row * strideY + column] = x[(i64)row * strideX + column];
}
