#include "rows.h"

/// scale = 1/√(Σ x²/n + ε), kept; y = x·scale·w, from the left.
ROW_KERNEL rms_norm(SOURCE(x), VIEW(y), VIEW(scale), int rows, int columns, const float *weight, float epsilon)
{
    OwnRow own = own_row(rows, columns);
    const float *from = ROW(x);
    float factor = 1.0f / root(row_dot(from, from, own.lane, own.columns) / (float)columns + epsilon);
    if (own.writes) *ROW(scale) = factor;
    write_row(ROW(y), own.lane, own.columns, false, [=](int j) { return from[j] * factor * weight[j]; });
}

/// mean = Σ x/n and scale = 1/√(Σ (x − mean)²/n + ε), kept; y = fma((x − mean)·scale, w, b).
ROW_KERNEL layer_norm(SOURCE(x), VIEW(y), VIEW(statistics), int rows, int columns, const float *weight, const float *bias, float epsilon)
{
    OwnRow own = own_row(rows, columns);
    const float *from = ROW(x);
    float mean = row_sum(from, own.lane, own.columns) / (float)columns, sum = 0.0f;
    EACH_COLUMN(j, own.lane, own.columns) sum = fma(from[j] - mean, from[j] - mean, sum);
    float factor = 1.0f / root(join_lanes(sum) / (float)columns + epsilon);
    if (own.writes)
    {
        ROW(statistics)[0] = mean;
        ROW(statistics)[1] = factor;
    }
    write_row(ROW(y), own.lane, own.columns, false, [=](int j) { return fma((from[j] - mean) * factor, weight[j], bias[j]); });
}
