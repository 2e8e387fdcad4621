#include "elements.h"
#include "math.h"

/// dx_j (+)= dy·e^(x_j − y).
KERNEL log_sum_exp_backward(SOURCE(x), SOURCE(y), SOURCE(dy), VIEW(dx), int rows, int columns, int accumulate)
{
    EACH_ELEMENT(rows, columns) put(&AT(dx), FIRST(dy) * exp(AT(x) - FIRST(y)), accumulate);
}

/// dlogits_j (+)= dloss·(e^(x_j − lse) − s/n − (1 − s)[j = label]), from the left; 0 where the label names no column.
KERNEL cross_entropy_backward(SOURCE(logits), SOURCE(log_sums), SOURCE(dlosses), VIEW(dlogits), int rows, int columns,
    const int *labels, float spread, float rest, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        int label = labels[row];
        float slope = exp(AT(logits) - FIRST(log_sums)) - spread;
        if (column == label) slope = slope - rest;
        put(&AT(dlogits), (u32)label >= (u32)columns ? 0.0f : FIRST(dlosses) * slope, accumulate);
    }
}
