// Sums down a column over tokens (docs/numerics.md, N2): a thread has a column of a block of rows, which it adds in ascending order from 0. The blocks of a
// column are the threads of one block along y, in turns where there are more; after each turn the first of them joins what they have by halves.
// Block l has rows starts[l] … starts[l + 1] − 1.
#include "blocks.h"
#include "partials.h"

/// Threads of a block at most: so many sums are joined in a turn.
#define MOST_THREADS 1024

/// The column of this thread and its place in a turn.
struct OwnColumn
{
    int column, place;
    bool there, writes;
};

DEVICE OwnColumn own_column(int columns)
{
    int column = block_x() * threads_x() + thread_x();
    return { column, thread_y() * threads_x() + thread_x(), column < columns, column < columns && thread_y() == 0 };
}

/// Sums of the blocks `first` … of this thread's column, one of each thread of a turn, follow those before.
DEVICE void join_turn(Halves &halves, const float *sums, const int *joins, int first, int leaves)
{
    for (int i = 0; i < threads_y() && first + i < leaves; i++) halves.push(sums[i * threads_x() + thread_x()], joins[first + i]);
}

/// The body runs once a turn, of which all threads take part in every one: they meet before and after the sums are joined.
#define EACH_TURN(first, leaves) for (int first = 0; first < leaves; first += threads_y())

/// y_g (+)= Σ_r x_r for groups of `size` rows one below the other.
KERNEL THREADS(MOST_THREADS) sum_columns(const int *starts, const int *joins, int leaves, int columns, int groups, int size, SOURCE(x), VIEW(y), int accumulate)
{
    static SHARED float sums[MOST_THREADS];
    OwnColumn own = own_column(columns);
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
    OwnColumn own = own_column(columns);
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

/// weight (+)= Σ_r dy_r·x̂_r, fused, x̂ = x·scale: the gradient of RMSNorm's weight.
KERNEL THREADS(MOST_THREADS) rms_norm_weight(const int *starts, const int *joins, int leaves, int columns, SOURCE(x), SOURCE(scale), SOURCE(dy),
    float *weight, int accumulate)
{
    static SHARED float sums[MOST_THREADS];
    OwnColumn own = own_column(columns);
    Halves halves;
    EACH_TURN(first, leaves)
    {
        int row = first + thread_y(), column = own.column;
        float sum = 0.0f;
        if (own.there && row < leaves) { EACH_ROW_OF_BLOCK(r) sum = fma(IN_ROW(dy, r), IN_ROW(x, r) * scale[(i64)r * scale_stride], sum); }
        sums[own.place] = sum;
        meet();
        if (own.writes) join_turn(halves, sums, joins, first, leaves);
        meet();
    }
    if (own.writes) put(weight + own.column, halves.sum(), accumulate);
}

/// weight (+)= Σ_r dy_r·x̂_r, fused, x̂ = (x − μ)·scale, and bias (+)= Σ_r dy_r: the gradients of LayerNorm's parameters.
KERNEL THREADS(MOST_THREADS) layer_norm_parameters(const int *starts, const int *joins, int leaves, int columns, SOURCE(x), SOURCE(statistics), SOURCE(dy),
    float *weight, float *bias, int accumulate)
{
    static SHARED float slopes[MOST_THREADS], offsets[MOST_THREADS];
    OwnColumn own = own_column(columns);
    Halves weights, biases;
    EACH_TURN(first, leaves)
    {
        int row = first + thread_y(), column = own.column;
        float slope = 0.0f, offset = 0.0f;
        if (own.there && row < leaves)
        {
            EACH_ROW_OF_BLOCK(r)
            {
                const float *of_row = statistics + (i64)r * statistics_stride;
                float g = IN_ROW(dy, r);
                slope = fma(g, (IN_ROW(x, r) - of_row[0]) * of_row[1], slope);
                offset = offset + g;
            }
        }
        slopes[own.place] = slope;
        offsets[own.place] = offset;
        meet();
        if (own.writes)
        {
            join_turn(weights, slopes, joins, first, leaves);
            join_turn(biases, offsets, joins, first, leaves);
        }
        meet();
    }
    if (!own.writes) return;
    put(weight + own.column, weights.sum(), accumulate);
    put(bias + own.column, biases.sum(), accumulate);
}
