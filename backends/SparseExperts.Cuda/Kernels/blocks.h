// A thread for every column of every block of rows: block l has rows starts[l] … starts[l + 1] − 1. The element of a kernel is (block, column).
#pragma once
#include "elements.h"

/// Eight rows are read before the first is added.
#define EACH_ROW_OF_BLOCK(r) _Pragma("unroll 8") for (int r = starts[row], end = starts[row + 1]; r < end; r++)
#define IN_ROW(view, r) (view)[(i64)(r) * view##_stride + column]
