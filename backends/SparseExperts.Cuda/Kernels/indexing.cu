#include "elements.h"

/// Whether an index names one of so many; what does not means none.
DEVICE bool names(int index, int count) { return (u32)index < (u32)count; }

/// y_r (+)= x_(index r), 0 where the index names no row.
KERNEL gather_rows(VIEW(y), int rows, int columns, SOURCE(x), int x_rows, const int *index, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        int from = index[row];
        put(&AT(y), names(from, x_rows) ? x[(i64)from * x_stride + column] : 0.0f, accumulate);
    }
}

/// y_r = x_(r, index r), 0 where the index names no column. Y has one column.
KERNEL gather_columns(VIEW(y), int rows, int columns, SOURCE(x), int x_columns, const int *index)
{
    EACH_ELEMENT(rows, columns)
    {
        int from = index[row];
        AT(y) = names(from, x_columns) ? x[(i64)row * x_stride + from] : 0.0f;
    }
}

/// y_(r, index r) += x_r. X has one column.
KERNEL scatter_add_columns(SOURCE(x), int rows, int columns, VIEW(y), int y_columns, const int *index)
{
    EACH_ELEMENT(rows, columns)
    {
        int to = index[row];
        if (names(to, y_columns)) y[(i64)row * y_stride + to] = y[(i64)row * y_stride + to] + AT(x);
    }
}
