// Sums down a column over tokens (docs/numerics.md, N2): a thread has a column of a block of rows, which it adds in ascending order from 0. The blocks of a
// column are the threads of one block along y, in turns where there are more; after each turn the first of them joins what they have by halves.
// Block l has rows starts[l] … starts[l + 1] − 1.
#pragma once
#include "blocks.h"
#include "partials.h"

/// Threads of a block at most: so many sums are joined in a turn.
#define MOST_THREADS 1024

/// The column of this thread and its place in a turn.
struct OwnColumn
{
    int column, place;
    bool there, writes;
};

/// Of the thread in a block of threads, the first of which has the first columns.
DEVICE OwnColumn own_column(int columns, int block)
{
    int column = block * threads_x() + thread_x();
    return { column, thread_y() * threads_x() + thread_x(), column < columns, column < columns && thread_y() == 0 };
}

/// Sums of the blocks `first` … of this thread's column, one of each thread of a turn, follow those before.
DEVICE void join_turn(Halves &halves, const float *sums, const int *joins, int first, int leaves)
{
    for (int i = 0; i < threads_y() && first + i < leaves; i++) halves.push(sums[i * threads_x() + thread_x()], joins[first + i]);
}

/// The body runs once a turn, of which all threads take part in every one: they meet before and after the sums are joined.
#define EACH_TURN(first, leaves) for (int first = 0; first < leaves; first += threads_y())
