#include "elements.h"

/// y (+)= the sums of blocks joined by halves, as SumTree says: part l of element i lies at parts[l * size + i], and after it the upper of the two
/// topmost partial sums is added to the lower joins[l] times. The stack is the memory of the parts that were read already. Without a part the sum is 0.
KERNEL join_blocks(VIEW(y), int rows, int columns, float *parts, i64 size, const int *joins, int leaves, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        float *stack = parts + (i64)row * columns + column;
        int height = 0;
        for (int leaf = 0; leaf < leaves; leaf++)
        {
            float top = stack[leaf * size];
            for (int i = joins[leaf]; i > 0; i--) top = stack[--height * size] + top;
            stack[height++ * size] = top;
        }
        put(&AT(y), leaves > 0 ? *stack : 0.0f, accumulate);
    }
}
