// One step of Adafactor (Shazeer & Stern 2018, algorithms 4 and 5) for `matrices` matrices of `height` rows one below the other, in the order of sums that
// IOptimizers.Adafactor defines. Numbers that rows, columns and the whole matrix share stay on the device between the kernels.
#include "blocks.h"
#include "partials.h"
#include "rows.h"

/// q = g² + ε, fused.
DEVICE float squared(float g, float epsilon) { return fma(g, g, epsilon); }

/// Rows: R ← keep·R + fresh·Σ_j q, and Σ_j p² where the rate is scaled by it.
ROW_KERNEL adafactor_rows(SOURCE(parameter), SOURCE(gradient), VIEW(row_means), int rows, int columns,
    const float *factor, float epsilon, float keep, float fresh, float *squares)
{
    if (is_left_out(factor)) return;
    OwnRow own = own_row(rows, columns);
    const float *g = ROW(gradient), *p = ROW(parameter);
    float sum = 0.0f;
    EACH_COLUMN(j, own.lane, own.columns) sum = sum + squared(*factor * g[j], epsilon);
    sum = join_lanes(sum);
    float square = row_dot(p, p, own.lane, squares ? own.columns : 0);
    if (!own.writes) return;
    *ROW(row_means) = fma(fresh, sum, keep * *ROW(row_means));
    if (squares) squares[own.row] = square;
}

/// Columns: Σ q over the rows of a block.
KERNEL adafactor_blocks(VIEW(parts), int rows, int columns, const int *starts, SOURCE(gradient), const float *factor, float epsilon)
{
    if (is_left_out(factor)) return;
    EACH_ELEMENT(rows, columns)
    {
        float sum = 0.0f;
        EACH_ROW_OF_BLOCK(r) sum = sum + squared(*factor * IN_ROW(gradient, r), epsilon);
        AT(parts) = sum;
    }
}

/// Columns of a matrix: C ← keep·C + fresh·(its blocks joined by halves), and 1/√C.
KERNEL adafactor_columns(VIEW(column_means), VIEW(scales), int rows, int columns, const float *parts, const int *joins, int leaves,
    const float *factor, float keep, float fresh)
{
    if (is_left_out(factor)) return;
    EACH_ELEMENT(rows, columns)
    {
        float sum = join_parts(parts + (i64)row * leaves * columns + column, columns, joins, leaves);
        float mean = fma(fresh, sum, keep * AT(column_means));
        AT(column_means) = mean;
        AT(scales) = 1.0f / root(mean);
    }
}

/// A half-warp a matrix: the mean of its rows' R. Rows are matrices here and columns their rows.
ROW_KERNEL adafactor_means(VIEW(means), int rows, int columns, SOURCE(row_means))
{
    OwnRow own = own_row(rows, columns);
    const float *of_matrix = row_means + (i64)own.row * columns * row_means_stride;
    float sum = 0.0f;
    EACH_COLUMN(i, own.lane, own.columns) sum = sum + of_matrix[(i64)i * row_means_stride];
    sum = join_lanes(sum);
    if (own.writes) *ROW(means) = sum / (float)columns;
}

/// Rows: √(mean / R) and Σ_j u².
ROW_KERNEL adafactor_squares(SOURCE(gradient), SOURCE(row_means), SOURCE(scales), int rows, int columns,
    int height, const float *means, const float *factor, float *row_scales, float *squares)
{
    if (is_left_out(factor)) return;
    OwnRow own = own_row(rows, columns);
    int matrix = own.row / height;
    const float *g = ROW(gradient), *scale = scales + (i64)matrix * scales_stride;
    float of_row = root(means[matrix] / *ROW(row_means)), sum = 0.0f;
    EACH_COLUMN(j, own.lane, own.columns)
    {
        float u = *factor * g[j] * of_row * scale[j];
        sum = fma(u, u, sum);
    }
    sum = join_lanes(sum);
    if (!own.writes) return;
    row_scales[own.row] = of_row;
    squares[own.row] = sum;
}

/// Rows of what is not factored: V ← keep·V + fresh·q, Σ_j u², and Σ_j p² where the rate is scaled by it.
ROW_KERNEL adafactor_second(SOURCE(parameter), SOURCE(gradient), VIEW(second), int rows, int columns,
    const float *factor, float epsilon, float keep, float fresh, float *updates, float *squares)
{
    if (is_left_out(factor)) return;
    OwnRow own = own_row(rows, columns);
    const float *g = ROW(gradient), *p = ROW(parameter);
    float *v = ROW(second), sum = 0.0f;
    EACH_COLUMN(j, own.lane, own.columns)
    {
        float scaled = *factor * g[j];
        v[j] = fma(fresh, squared(scaled, epsilon), keep * v[j]);
        float u = scaled / root(v[j]);
        sum = fma(u, u, sum);
    }
    sum = join_lanes(sum);
    float square = row_dot(p, p, own.lane, squares ? own.columns : 0);
    if (!own.writes) return;
    updates[own.row] = sum;
    if (squares) squares[own.row] = square;
}

/// x, but not less than `least`; NaN stays.
DEVICE float at_least(float x, float least) { return x < least ? least : x; }

/// What the update is multiplied by, and what the parameter is: size[0] and size[1]. One block: its half-warps sum the rows of a matrix each, then the
/// matrices. `sums` has room for two numbers a matrix.
ROW_KERNEL adafactor_size(const float *updates, const float *squares, float *sums, int matrices, int height,
    float count, float rate, float least, float threshold, float decay, const float *factor, float *size)
{
    if (is_left_out(factor)) return;
    int lane = thread_x();
    for (int first = 0; first < matrices; first += ROWS_OF_BLOCK)
    {
        int matrix = first + thread_y();
        bool there = matrix < matrices;
        i64 start = there ? (i64)matrix * height : 0;
        float update = row_sum(updates + start, lane, there ? height : 0), square = row_sum(squares + start, lane, there && squares ? height : 0);
        if (!there || lane != 0) continue;
        sums[matrix] = update;
        sums[matrices + matrix] = square;
    }
    meet();
    float update = row_sum(sums, lane, matrices), square = row_sum(sums + matrices, lane, matrices);
    if (lane != 0 || thread_y() != 0) return;
    if (squares) rate = rate * at_least(root(square / count), least);
    size[0] = rate / at_least(root(update / count) / threshold, 1.0f);
    size[1] = fma(-decay, rate, 1.0f);
}

/// p ← size₁·p − x, x = size₀·u or the momentum, which moves towards it.
DEVICE void step_by(float *p, float u, float *momentum, float keep, float fresh, const float *size)
{
    float x = size[0] * u;
    if (momentum) *momentum = x = fma(fresh, x, keep * *momentum);
    *p = fma(size[1], *p, -x);
}

KERNEL adafactor_step(VIEW(parameter), SOURCE(gradient), int rows, int columns, VIEW(momentum), float keep, float fresh, const float *size,
    const float *factor, int height, const float *row_scales, SOURCE(scales))
{
    if (is_left_out(factor)) return;
    EACH_ELEMENT(rows, columns)
    {
        float u = *factor * AT(gradient) * row_scales[row] * scales[(i64)(row / height) * scales_stride + column];
        step_by(&AT(parameter), u, momentum ? &AT(momentum) : 0, keep, fresh, size);
    }
}

KERNEL adafactor_step_unfactored(VIEW(parameter), SOURCE(gradient), int rows, int columns, VIEW(momentum), float keep, float fresh, const float *size,
    const float *factor, SOURCE(second))
{
    if (is_left_out(factor)) return;
    EACH_ELEMENT(rows, columns) step_by(&AT(parameter), *factor * AT(gradient) / root(AT(second)), momentum ? &AT(momentum) : 0, keep, fresh, size);
}
