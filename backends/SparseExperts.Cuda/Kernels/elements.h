// Ops that give every element a thread: columns along x, rows along y, and further rows of the same column where the grid has too few. The host
// takes a matrix without gaps as one long row. No element is divided to find its place.
#pragma once
#include "gpu.h"

/// The body runs once for every element of this thread; `row` and `column` are its place.
#define EACH_ELEMENT(rows, columns)                                      \
    int column = block_x() * threads_x() + thread_x();                   \
    if (column >= columns) return;                                       \
    for (int row = block_y() * threads_y() + thread_y(); row < rows; row += blocks_y() * threads_y())

/// The element of a view at this thread's place.
#define AT(view) (view)[(i64)row * view##_stride + column]

/// Of a view with one number a row: that of this thread's row.
#define FIRST(view) (view)[(i64)row * view##_stride]
