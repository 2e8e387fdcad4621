#include "elements.h"

/// y_r (+)= x_(index r), 0 where the index is negative.
KERNEL gather_rows(VIEW(y), int rows, int columns, SOURCE(x), const int *index, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        int from = index[row];
        put(&AT(y), from < 0 ? 0.0f : x[(i64)from * x_stride + column], accumulate);
    }
}

/// y_r = x_(r, index r), 0 where the index is negative. Y has one column.
KERNEL gather_columns(VIEW(y), int rows, int columns, SOURCE(x), const int *index)
{
    EACH_ELEMENT(rows, columns)
    {
        int from = index[row];
        AT(y) = from < 0 ? 0.0f : x[(i64)row * x_stride + from];
    }
}

/// y_(r, index r) += x_r. X has one column.
KERNEL scatter_add_columns(SOURCE(x), int rows, int columns, VIEW(y), const int *index)
{
    EACH_ELEMENT(rows, columns)
    {
        int to = index[row];
        if (to >= 0) y[(i64)row * y_stride + to] = y[(i64)row * y_stride + to] + AT(x);
    }
}
