#include "rows.h"

/// y_r (+)= Σ_j a_rj·b_rj.
ROW_KERNEL row_dots(SOURCE(a), SOURCE(b), VIEW(y), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    float dot = row_dot(ROW(a), ROW(b), own.lane, own.columns);
    if (own.writes) put(ROW(y), dot, accumulate);
}

/// y_r = Σ_k x_k² over the elements offsets_r … offsets_{r+1} − 1.
ROW_KERNEL run_squares(VIEW(y), int rows, int columns, const float *x, const int *offsets)
{
    OwnRow own = own_row(rows, columns);
    const float *run = x + offsets[own.row];
    float dot = row_dot(run, run, own.lane, own.columns > 0 ? offsets[own.row + 1] - offsets[own.row] : 0);
    if (own.writes) *ROW(y) = dot;
}
