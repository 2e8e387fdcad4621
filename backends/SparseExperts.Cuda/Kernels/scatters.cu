// Rows of X that are added to rows of Y which several of them may share. The host has sorted them: run i has rows order[starts[i]] …
// order[starts[i + 1] − 1] of X, ascending, all of one target. A thread has a column.
#include "elements.h"
#include "partials.h"

/// A chain from a number on: this column of the rows of run `run`. Four are read before the first is added.
DEVICE float add_run(float sum, int run, const int *starts, const int *order, SOURCE(x), int column)
{
    _Pragma("unroll 4") for (int i = starts[run], end = starts[run + 1]; i < end; i++) sum = sum + x[(i64)order[i] * x_stride + column];
    return sum;
}

/// y_(targets i) += the rows of run i, one chain that starts from what is there.
KERNEL scatter_add_rows(int rows, int columns, const int *starts, const int *order, const int *targets, SOURCE(x), VIEW(y))
{
    EACH_ELEMENT(rows, columns)
    {
        float *to = y + (i64)targets[row] * y_stride + column;
        *to = add_run(*to, row, starts, order, x, x_stride, column);
    }
}

/// Part i is the sum of the rows of run i, one chain from 0: what a block of tokens gives to a target.
KERNEL scatter_chains(VIEW(parts), int rows, int columns, const int *starts, const int *order, SOURCE(x))
{
    EACH_ELEMENT(rows, columns) AT(parts) = add_run(0.0f, row, starts, order, x, x_stride, column);
}

/// y_(targets i) += the parts firsts[i] … firsts[i + 1] − 1, joined by halves.
KERNEL scatter_join(SOURCE(parts), int rows, int columns, const int *firsts, const int *joins, const int *targets, VIEW(y))
{
    EACH_ELEMENT(rows, columns)
    {
        int first = firsts[row];
        float *to = y + (i64)targets[row] * y_stride + column;
        *to = *to + join_parts(parts + (i64)first * parts_stride + column, parts_stride, joins + first, firsts[row + 1] - first);
    }
}
