#include "rows.h"

/// y_r (+)= Σ_j x_rj.
ROW_KERNEL sum_rows(SOURCE(x), VIEW(y), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    float sum = row_sum(ROW(x), own.lane, own.columns);
    if (own.writes) put(ROW(y), sum, accumulate);
}

/// y_r (+)= Σ_j a_rj·b_rj.
ROW_KERNEL row_dots(SOURCE(a), SOURCE(b), VIEW(y), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    float dot = row_dot(ROW(a), ROW(b), own.lane, own.columns);
    if (own.writes) put(ROW(y), dot, accumulate);
}
