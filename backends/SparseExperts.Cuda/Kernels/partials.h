// Partial sums of blocks of tokens, joined by halves (docs/numerics.md, N2): a thread keeps those that wait for their other half on a stack.
#pragma once
#include "gpu.h"

/// Halvings of any number of rows, and one.
#define MOST_PARTIALS 40

/// Parts that are read before the first is pushed.
#define PARTS_AHEAD 8

/// Sums that come one after the other.
struct Halves
{
    float stack[MOST_PARTIALS];
    int height = 0;

    __attribute__((device, always_inline)) Halves() { stack[0] = 0.0f; }

    __attribute__((device, always_inline)) void push(float top, int joins)
    {
        _Pragma("nounroll") for (; joins > 0; joins--) top = stack[--height] + top;
        stack[height++] = top;
    }

    /// Of all of them; without any it is 0.
    __attribute__((device, always_inline)) float sum() const { return stack[0]; }
};

/// The sum of `count` parts, each `size` elements behind the one before: after part l the upper of the two topmost partial sums is added to the lower
/// joins[l] times. Without a part it is 0.
DEVICE float join_parts(const float *parts, i64 size, const int *joins, int count)
{
    float stack[MOST_PARTIALS], ahead[PARTS_AHEAD];
    int height = 0;
    for (int first = 0; first < count; first += PARTS_AHEAD)
    {
        _Pragma("unroll") for (int i = 0; i < PARTS_AHEAD; i++) ahead[i] = parts[(first + i < count ? first + i : count - 1) * size];
        _Pragma("unroll") for (int i = 0; i < PARTS_AHEAD; i++)
        {
            if (first + i >= count) break;
            float top = ahead[i];
            _Pragma("nounroll") for (int halves = joins[first + i]; halves > 0; halves--) top = stack[--height] + top;
            stack[height++] = top;
        }
    }
    return count > 0 ? stack[0] : 0.0f;
}
