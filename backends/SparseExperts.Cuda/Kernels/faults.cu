#include "gpu.h"

#define MOST_THREADS 1024

/// Keeps the first index that is neither `none` nor within 0 … limit − 1, unless a fault is kept already: fault = { 1, op, position, value, limit, none,
/// ascending }. Ascending indices are offsets: not below the one before, and at most the limit. One block looks at all of them, 2ⁿ threads.
KERNEL THREADS(MOST_THREADS) find_fault(int *fault, const int *indices, int count, int limit, int none, int ascending, int op)
{
    static SHARED int firsts[MOST_THREADS];
    int first = count;
    _Pragma("unroll 4") for (int i = thread_x(); i < count; i += threads_x())
    {
        int value = indices[i], before = ascending && i > 0 ? indices[i - 1] : 0;
        bool right = ascending ? value >= before && value <= limit : value == none || (u32)value < (u32)limit;
        if (!right && i < first) first = i;
    }
    firsts[thread_x()] = first;
    for (int half = threads_x() / 2; half > 0; half /= 2)
    {
        meet();
        if (thread_x() < half && firsts[thread_x() + half] < firsts[thread_x()]) firsts[thread_x()] = firsts[thread_x() + half];
    }
    first = firsts[thread_x()];
    if (thread_x() != 0 || first == count || fault[0]) return;
    fault[1] = op, fault[2] = first, fault[3] = indices[first], fault[4] = limit, fault[5] = none, fault[6] = ascending;
    fault[0] = 1;
}
