#include "token_sums.h"

/// y_g (+)= Σ_r x_r for groups of `size` rows one below the other.
KERNEL THREADS(MOST_THREADS) sum_columns(const int *starts, const int *joins, int leaves, int columns, int groups, int size, SOURCE(x), VIEW(y), int accumulate)
{
    static SHARED float sums[MOST_THREADS];
    OwnColumn own = own_column(columns, block_x());
    for (int group = block_y(); group < groups; group += blocks_y())
    {
        const float *rows = x + (i64)group * size * x_stride;
        Halves halves;
        EACH_TURN(first, leaves)
        {
            int row = first + thread_y(), column = own.column;
            float sum = 0.0f;
            if (own.there && row < leaves) { EACH_ROW_OF_BLOCK(r) sum = sum + rows[(i64)r * x_stride + column]; }
            sums[own.place] = sum;
            meet();
            if (own.writes) join_turn(halves, sums, joins, first, leaves);
            meet();
        }
        if (own.writes) put(y + (i64)group * y_stride + own.column, halves.sum(), accumulate);
    }
}

/// y = factor·Σ_r x_r², the squares of a block fused. One column.
KERNEL THREADS(MOST_THREADS) sum_squares(const int *starts, const int *joins, int leaves, int columns, SOURCE(x), float factor, float *y)
{
    static SHARED float sums[MOST_THREADS];
    OwnColumn own = own_column(columns, block_x());
    Halves halves;
    EACH_TURN(first, leaves)
    {
        int row = first + thread_y(), column = own.column;
        float sum = 0.0f;
        if (row < leaves) { EACH_ROW_OF_BLOCK(r) sum = fma(IN_ROW(x, r), IN_ROW(x, r), sum); }
        sums[own.place] = sum;
        meet();
        if (own.writes) join_turn(halves, sums, joins, first, leaves);
        meet();
    }
    if (own.writes) *y = factor * halves.sum();
}
