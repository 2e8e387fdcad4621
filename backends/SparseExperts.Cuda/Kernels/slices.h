#pragma once
#include "gpu.h"

/// At most a tile of rows of one product: where op(A), op(B) and C begin (in elements), how many rows and columns C has here, how long k is.
struct Slice
{
    i64 a, b, c;
    int rows, columns, depth, start;
};

/// What becomes of C: the chain of the first block of k starts from it, or the sum is added to it, or it is written over.
enum { StartsAtC = 1, AddsToC = 2 };
