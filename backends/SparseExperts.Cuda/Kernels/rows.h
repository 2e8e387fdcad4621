// Ops along rows: a half-warp has a row, its 16 threads are the 16 lanes of the canonical sum (docs/numerics.md, N1).
#pragma once
#include "gpu.h"

#define LANES 16
#define ROWS_OF_BLOCK 8
#define ROW_KERNEL KERNEL THREADS(LANES * ROWS_OF_BLOCK)

/// Four columns of a lane are read before the first is added.
#define EACH_COLUMN(column, lane, columns) _Pragma("unroll 4") for (int column = lane; column < columns; column += LANES)

/// A half-warp's row. One behind the last row has that row and no columns, so that it takes part in every shuffle and writes nothing.
struct OwnRow
{
    int row, lane, columns;
    bool writes;                                                  // what a row has once: its first lane does it
};

DEVICE OwnRow own_row(int rows, int columns)
{
    int row = block_x() * ROWS_OF_BLOCK + thread_y();
    bool there = row < rows;
    return { there ? row : rows - 1, thread_x(), there ? columns : 0, there && thread_x() == 0 };
}

/// Where the half-warp's row of a view lies.
#define ROW(view) ((view) + (i64)own.row * view##_stride)

/// Joins lanes l and l + 8, then l and l + 4, l and l + 2, and the last two; every lane has the sum.
DEVICE float join_lanes(float sum)
{
    sum = sum + from_lane_xor(sum, 8);
    sum = sum + from_lane_xor(sum, 4);
    sum = sum + from_lane_xor(sum, 2);
    return sum + from_lane_xor(sum, 1);
}

/// The larger of two numbers that are not NaN.
DEVICE float larger(float a, float b) { return b > a ? b : a; }

/// The largest of sixteen lanes; every lane has it.
DEVICE float join_largest(float max)
{
    max = larger(max, from_lane_xor(max, 8));
    max = larger(max, from_lane_xor(max, 4));
    max = larger(max, from_lane_xor(max, 2));
    return larger(max, from_lane_xor(max, 1));
}

/// The largest element of a row, −∞ where there is none; NaN never wins.
DEVICE float row_max(const float *x, int lane, int columns)
{
    float max = -__builtin_inff();
    EACH_COLUMN(j, lane, columns) max = larger(max, x[j]);
    return join_largest(max);
}

/// Σ_j x_j.
DEVICE float row_sum(const float *x, int lane, int columns)
{
    float sum = 0.0f;
    EACH_COLUMN(j, lane, columns) sum = sum + x[j];
    return join_lanes(sum);
}

/// Σ_j a_j·b_j, fused.
DEVICE float row_dot(const float *a, const float *b, int lane, int columns)
{
    float sum = 0.0f;
    EACH_COLUMN(j, lane, columns) sum = fma(a[j], b[j], sum);
    return join_lanes(sum);
}

/// to_j (+)= value(j) for the columns of a lane. Four values are there before the first is written, so that their sources are read together; no source
/// is a destination.
template <class Value>
DEVICE void write_row(float *to, int lane, int columns, int accumulate, Value value)
{
    int j = lane;
    for (; j + 3 * LANES < columns; j += 4 * LANES)
    {
        float ahead[4];
        _Pragma("unroll") for (int i = 0; i < 4; i++)
        {
            float *place = to + j + i * LANES;
            ahead[i] = value(j + i * LANES);
            if (accumulate) ahead[i] = *place + ahead[i];
        }
        _Pragma("unroll") for (int i = 0; i < 4; i++) to[j + i * LANES] = ahead[i];
    }
    _Pragma("nounroll") for (; j < columns; j += LANES) put(to + j, value(j), accumulate);
}
