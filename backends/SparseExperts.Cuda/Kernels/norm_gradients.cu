// Gradients of norms: the first blocks of threads have rows of dx, the others columns of the parameters. A half-warp has a row; a thread has a column of a
// block of rows, as in token_sums.h.
#include "rows.h"
#include "token_sums.h"

/// The row of a half-warp where a block of threads has as many half-warps as it likes.
DEVICE OwnRow own_row_of(int rows, int columns)
{
    int row = block_x() * threads_y() + thread_y();
    bool there = row < rows;
    return { there ? row : rows - 1, thread_x(), there ? columns : 0, there && thread_x() == 0 };
}

/// dx (+)= scale·(dy·w − x̂·mean), x̂ = x·scale, mean = Σ (dy·w)·x̂ / n; weight (+)= Σ_r dy_r·x̂_r, fused.
KERNEL THREADS(MOST_THREADS) rms_norm_gradients(SOURCE(x), SOURCE(scale), SOURCE(dy), VIEW(dx), int rows, int columns, int rowBlocks, const float *weight,
    int accumulate, const int *starts, const int *joins, int leaves, float *dweight, int accumulate_weight)
{
    static SHARED float sums[MOST_THREADS];
    if (block_x() < rowBlocks)
    {
        OwnRow own = own_row_of(rows, columns);
        const float *from = ROW(x), *g = ROW(dy);
        float factor = *ROW(scale), sum = 0.0f;
        EACH_COLUMN(j, own.lane, own.columns) sum = fma(g[j] * weight[j], from[j] * factor, sum);
        float mean = join_lanes(sum) / (float)columns;
        write_row(ROW(dx), own.lane, own.columns, accumulate,
            [=](int j) { return factor * fma(-(from[j] * factor), mean, g[j] * weight[j]); });
        return;
    }
    OwnColumn own = own_column(columns, block_x() - rowBlocks);
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
    if (own.writes) put(dweight + own.column, halves.sum(), accumulate_weight);
}

/// dx (+)= scale·(dy·w − mean − x̂·along), x̂ = (x − μ)·scale, mean = Σ dy·w / n, along = Σ (dy·w)·x̂ / n; weight (+)= Σ_r dy_r·x̂_r, fused, and
/// bias (+)= Σ_r dy_r.
KERNEL THREADS(MOST_THREADS) layer_norm_gradients(SOURCE(x), SOURCE(statistics), SOURCE(dy), VIEW(dx), int rows, int columns, int rowBlocks,
    const float *weight, int accumulate, const int *starts, const int *joins, int leaves, float *dweight, float *dbias, int accumulate_parameters)
{
    static SHARED float slopes[MOST_THREADS], offsets[MOST_THREADS];
    if (block_x() < rowBlocks)
    {
        OwnRow own = own_row_of(rows, columns);
        const float *from = ROW(x), *g = ROW(dy);
        float centre = ROW(statistics)[0], factor = ROW(statistics)[1], plain = 0.0f, scaled = 0.0f;
        EACH_COLUMN(j, own.lane, own.columns)
        {
            float slope = g[j] * weight[j];
            plain = plain + slope;
            scaled = fma(slope, (from[j] - centre) * factor, scaled);
        }
        float mean = join_lanes(plain) / (float)columns, along = join_lanes(scaled) / (float)columns;
        write_row(ROW(dx), own.lane, own.columns, accumulate, [=](int j)
        {
            float hat = (from[j] - centre) * factor;
            return factor * fma(-hat, along, g[j] * weight[j] - mean);
        });
        return;
    }
    OwnColumn own = own_column(columns, block_x() - rowBlocks);
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
    put(dweight + own.column, weights.sum(), accumulate_parameters);
    put(dbias + own.column, biases.sum(), accumulate_parameters);
}
