#include "rows.h"

/// y_r (+)= Σ_j a_rj·b_rj.
ROW_KERNEL row_dots(SOURCE(a), SOURCE(b), VIEW(y), int rows, int columns, int accumulate)
{
    OwnRow own = own_row(rows, columns);
    float dot = row_dot(ROW(a), ROW(b), own.lane, own.columns);
    if (own.writes) put(ROW(y), dot, accumulate);
}

DEVICE int within(int x, int low, int high) { return x < low ? low : x > high ? high : x; }

/// y_r = Σ_k x_k² over the elements offsets_r … offsets_{r+1} − 1, of which there are so many.
ROW_KERNEL run_squares(VIEW(y), int rows, int columns, const float *x, int x_columns, const int *offsets)
{
    OwnRow own = own_row(rows, columns);
    int start = within(offsets[own.row], 0, x_columns), end = within(offsets[own.row + 1], start, x_columns);
    float dot = row_dot(x + start, x + start, own.lane, own.columns > 0 ? end - start : 0);
    if (own.writes) *ROW(y) = dot;
}
