// The balance loss of counts and mean scores: one group of few experts in one kernel, others from sums that token_sums.cu makes.
#include "token_sums.h"

#define BALANCE_THREADS 256

/// Experts that a block of threads has columns for.
#define MOST_AT_ONCE 32

/// The share that a count names, 0 where it names none.
DEVICE float share_of(const float *shares, int shares_stride, int most, int count)
{
    return (u32)count < (u32)most ? shares[(i64)count * shares_stride] : 0.0f;
}

/// y = Σ_j share_j·(factor·Σ_r x_rj) over one group, by one block of threads.
KERNEL THREADS(MOST_THREADS) balance_loss_at_once(const int *starts, const int *joins, int leaves, int columns, SOURCE(x), SOURCE(shares), int most,
    const int *counts, float factor, float *y)
{
    static SHARED float sums[MOST_THREADS], terms[MOST_AT_ONCE];
    OwnColumn own = own_column(columns, 0);
    Halves halves;
    EACH_TURN(first, leaves)
    {
        int row = first + thread_y(), column = own.column;
        float sum = 0.0f;
        if (own.there && row < leaves) { EACH_ROW_OF_BLOCK(r) sum = sum + IN_ROW(x, r); }
        sums[own.place] = sum;
        meet();
        if (own.writes) join_turn(halves, sums, joins, first, leaves);
        meet();
    }
    if (own.writes) terms[own.column] = halves.sum() * factor * share_of(shares, shares_stride, most, counts[own.column]);
    meet();
    if (own.place > 0) return;
    float sum = 0.0f;
    for (int j = 0; j < columns; j++) sum = sum + terms[j];
    *y = sum;
}

/// y = Σ_g Σ_j share_gj·(factor·sum_gj). A thread adds the experts of a group, as along k of a product; the first one then adds the groups.
KERNEL THREADS(BALANCE_THREADS) balance_loss(SOURCE(sums), int groups, int columns, SOURCE(shares), int most, const int *counts, float factor,
    const int *kStarts, const int *kJoins, int kLeaves, const int *starts, const int *joins, int leaves, float *losses, float *y)
{
    for (int group = thread_x(); group < groups; group += BALANCE_THREADS)
    {
        Halves halves;
        for (int leaf = 0; leaf < kLeaves; leaf++)
        {
            float sum = 0.0f;
            for (int j = kStarts[leaf]; j < kStarts[leaf + 1]; j++)
                sum = sum + sums[(i64)group * sums_stride + j] * factor * share_of(shares, shares_stride, most, counts[(i64)group * columns + j]);
            halves.push(sum, kJoins[leaf]);
        }
        losses[group] = halves.sum();
    }
    meet();
    if (thread_x() > 0) return;
    Halves halves;
    for (int leaf = 0; leaf < leaves; leaf++)
    {
        float sum = 0.0f;
        for (int group = starts[leaf]; group < starts[leaf + 1]; group++) sum = sum + losses[group];
        halves.push(sum, joins[leaf]);
    }
    *y = halves.sum();
}

/// dx_rj (+)= (dy·share_gj)·factor, g the group of row r.
KERNEL balance_loss_backward(VIEW(dx), int rows, int columns, SOURCE(shares), int most, const int *counts, int size, float factor, const float *dy,
    int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        float share = share_of(shares, shares_stride, most, counts[(i64)(row / size) * columns + column]);
        put(&AT(dx), (*dy + 0.0f) * share * factor, accumulate);
    }
}
