#include "math.h"
#include "rows.h"

/// Σ_j e^(x_j − max).
DEVICE float exp_sum(const float *x, float max, int lane, int columns)
{
    float sum = 0.0f;
    EACH_COLUMN(j, lane, columns) sum = sum + exp(x[j] - max);
    return join_lanes(sum);
}

/// y_j = e^(x_j − max) / Σ e^(x_k − max).
ROW_KERNEL softmax(SOURCE(x), VIEW(y), int rows, int columns)
{
    OwnRow own = own_row(rows, columns);
    const float *from = ROW(x);
    float max = row_max(from, own.lane, own.columns), sum = exp_sum(from, max, own.lane, own.columns);
    write_row(ROW(y), own.lane, own.columns, false, [=](int j) { return exp(from[j] - max) / sum; });
}

/// dx_j (+)= y_j·(dy_j − Σ dy_k·y_k).
ROW_KERNEL softmax_backward(SOURCE(y), SOURCE(dy), VIEW(dx), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    const float *p = ROW(y), *g = ROW(dy);
    float dot = row_dot(g, p, own.lane, own.columns);
    write_row(ROW(dx), own.lane, own.columns, accumulate, [=](int j) { return p[j] * (g[j] - dot); });
}

/// y_j = (x_j − max) − ln Σ e^(x_k − max).
ROW_KERNEL log_softmax(SOURCE(x), VIEW(y), int rows, int columns)
{
    OwnRow own = own_row(rows, columns);
    const float *from = ROW(x);
    float max = row_max(from, own.lane, own.columns), logarithm = log(exp_sum(from, max, own.lane, own.columns));
    write_row(ROW(y), own.lane, own.columns, false, [=](int j) { return (from[j] - max) - logarithm; });
}

/// dx_j (+)= dy_j − e^(y_j)·Σ dy_k.
ROW_KERNEL log_softmax_backward(SOURCE(y), SOURCE(dy), VIEW(dx), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    const float *logarithms = ROW(y), *g = ROW(dy);
    float sum = row_sum(g, own.lane, own.columns);
    write_row(ROW(dx), own.lane, own.columns, accumulate, [=](int j) { return fma(-exp(logarithms[j]), sum, g[j]); });
}

/// y = max + ln Σ e^(x_k − max).
ROW_KERNEL log_sum_exp(SOURCE(x), VIEW(y), int rows, int columns)
{
    OwnRow own = own_row(rows, columns);
    const float *from = ROW(x);
    float max = row_max(from, own.lane, own.columns), sum = exp_sum(from, max, own.lane, own.columns);
    if (own.writes) *ROW(y) = max + log(sum);
}

/// loss = lse − x_label, or with smoothing s: lse − fma(1 − s, x_label, s·(Σ x_j / n)); 0 where the label names no column. The log sums are kept.
ROW_KERNEL cross_entropy(SOURCE(logits), VIEW(losses), VIEW(log_sums), int rows, int columns, const int *labels, int smooth, float smoothing, float rest)
{
    OwnRow own = own_row(rows, columns);
    const float *x = ROW(logits);
    float max = row_max(x, own.lane, own.columns), sum = exp_sum(x, max, own.lane, own.columns);
    float all = smooth ? row_sum(x, own.lane, own.columns) : 0.0f;
    if (!own.writes) return;
    float log_sum = max + log(sum);
    int label = labels[own.row];
    *ROW(log_sums) = log_sum;
    *ROW(losses) = (u32)label >= (u32)columns ? 0.0f : log_sum - (smooth ? fma(rest, x[label], smoothing * (all / (float)columns)) : x[label]);
}
