#include "gpu.h"

/// Joins the sums of blocks by halves, as SumTree says: part l of element i lies at parts[l * size + i], and after it the upper of the two topmost
/// partial sums is added to the lower joins[l] times. The stack is the memory of the parts that were read already. Without a part the sum is 0.
/// A thread an element.
KERNEL join_blocks(float *parts, i64 size, const int *joins, int leaves, float *y, int strideY, int columns, int accumulate)
{
    i64 element = (i64)block_x() * threads_x() + thread_x();
    if (element >= size) return;
    int height = 0;
    for (int leaf = 0; leaf < leaves; leaf++)
    {
        float top = parts[leaf * size + element];
        for (int i = joins[leaf]; i > 0; i--) top = parts[--height * size + element] + top;
        parts[height++ * size + element] = top;
    }
    put(y + element / columns * strideY + element % columns, leaves > 0 ? parts[element] : 0.0f, accumulate);
}
