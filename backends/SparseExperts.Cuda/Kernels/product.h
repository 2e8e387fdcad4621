// A product on tiles of C, one a block of threads.
#pragma once
#include "slices.h"

typedef float quad __attribute__((ext_vector_type(4)));

/// A tile of C has Side × Side numbers, Each × Each of them a thread's. Operands come through shared memory, Deep of k at a time.
template <int side, int each, int deep> struct Tile
{
    enum
    {
        Side = side, Each = each, Deep = deep, Across = Side / Each, Threads = Across * Across, Pitch = Side + 4, Size = Deep * Pitch,
        Loads = Side * Deep / Threads, LineStep = Threads / Deep, DepthStep = Threads / Side
    };

    /// Four neighbours, and four more half a tile further where a thread has eight.
    static __attribute__((device, always_inline)) int place(int first, int i) { return first + i / 4 * (Side * 4 / Each) + i % 4; }
};

/// What a thread brings of one operand: Loads numbers of every Deep × Side, `apart` elements from each other. Neighbouring threads take neighbours in
/// memory, so a thread's numbers lie either on several lines at one k or on one line.
template <class T> struct Panel
{
    const float *from;
    i64 apart;
    int inside, k, place, placeStep;
    bool alongK;
    float values[T::Loads];
};

template <class T> DEVICE void open(Panel<T> &panel, const float *from, i64 lineStride, i64 depthStride, int lines)
{
    int thread = thread_x();
    panel.alongK = depthStride == 1;
    int line = panel.alongK ? thread / T::Deep : thread % T::Side;
    panel.k = panel.alongK ? thread % T::Deep : thread / T::Side;
    panel.from = from + line * lineStride + panel.k * depthStride;
    panel.apart = panel.alongK ? T::LineStep * lineStride : T::DepthStep * depthStride;
    panel.place = panel.k * T::Pitch + line;
    panel.placeStep = panel.alongK ? T::LineStep : T::DepthStep * T::Pitch;
    panel.inside = line >= lines ? 0 : panel.alongK ? (lines - line + T::LineStep - 1) / T::LineStep : T::Loads;
}

/// Reads the next numbers, of which `rest` of k are left; what lies outside is not read, and no chain meets the 0 in its place.
template <class T> DEVICE void fetch(Panel<T> &panel, i64 depthStride, int rest)
{
    int inside = panel.inside;
    if (rest < T::Deep)
    {
        int left = panel.k >= rest ? 0 : panel.alongK ? T::Loads : (rest - panel.k + T::DepthStep - 1) / T::DepthStep;
        inside = left < inside ? left : inside;
    }
    const float *from = panel.from;
    #pragma unroll
    for (int i = 0; i < T::Loads; i++, from += panel.apart) panel.values[i] = i < inside ? *from : 0.0f;
    panel.from += T::Deep * depthStride;
}

template <class T> DEVICE void lay(const Panel<T> &panel, float *shared)
{
    int step = afresh(panel.placeStep), place = panel.place;
    #pragma unroll
    for (int i = 0; i < T::Loads; i++, place += step) shared[place] = panel.values[i];
}

/// One step of every chain.
template <class T, int Each> DEVICE void step(const float *left, const float *right, float (&sums)[Each][Each])
{
    float a[Each], b[Each];
    #pragma unroll
    for (int i = 0; i < Each; i += 4)
    {
        quad x = *(const quad *)(left + T::place(0, i)), y = *(const quad *)(right + T::place(0, i));
        a[i] = x.x; a[i + 1] = x.y; a[i + 2] = x.z; a[i + 3] = x.w;
        b[i] = y.x; b[i + 1] = y.y; b[i + 2] = y.z; b[i + 3] = y.w;
    }
    #pragma unroll
    for (int i = 0; i < Each; i++)
        #pragma unroll
        for (int j = 0; j < Each; j++) sums[i][j] = fma(a[i], b[j], sums[i][j]);
}

/// Four sums go to columns s to s + 3, as far as there are so many; at once where memory allows it.
DEVICE void put_four(float *to, int s, int columns, float *sums, int start)
{
    to += s;
    #pragma unroll
    for (int j = 0; j < 4; j++)
        if ((start & AddsToC) && s + j < columns) sums[j] = to[j] + sums[j];
    if (s + 3 < columns && ((u64)to & 15) == 0)
    {
        quad all = {sums[0], sums[1], sums[2], sums[3]};
        *(quad *)to = all;
        return;
    }
    #pragma unroll
    for (int j = 0; j < 4; j++)
        if (s + j < columns) to[j] = sums[j];
}

/// C (+)= op(A)·op(B) on a tile of a slice: line i of op(A) begins i·lineA behind the slice's start and goes on every depthA elements, and so do op(B)'s
/// columns. k is cut into `leaves` blocks, each an ascending chain of fused multiply-adds; a thread joins the blocks by halves as SumTree says, the
/// sums that wait lie in `stack`. One block: counts, joins and stack are not read. Chains that start at C start at what lies there in `first`, C or another.
template <int Side, int Each, int Deep>
DEVICE void product(const float *a, i64 lineA, i64 depthA, const float *b, i64 lineB, i64 depthB, const float *first, float *c, i64 strideC,
    const Slice &slice, int tile, const int *counts, const int *joins, int leaves, float *stack)
{
    typedef Tile<Side, Each, Deep> T;
    static SHARED __attribute__((aligned(16))) float left[2 * T::Size], right[2 * T::Size];

    int firstColumn = tile * Side, rows = slice.rows, columns = slice.columns - firstColumn, start = slice.start, whole = slice.depth;
    if (columns <= 0) return;
    int thread = thread_x(), lane = thread % 32, warp = thread / 32;
    int row = (lane / 8 + warp / (T::Across / 8) * 4) * 4, column = (lane % 8 + warp % (T::Across / 8) * 8) * 4;

    Panel<T> lefts, rights;
    open(lefts, a + slice.a, lineA, depthA, rows);
    open(rights, b + slice.b + firstColumn * lineB, lineB, depthB, columns);
    c += slice.c + firstColumn;
    first += slice.c + firstColumn;

    float sums[Each][Each];
    #pragma unroll
    for (int i = 0; i < Each; i++)
    {
        int r = T::place(row, i);
        const float *from = first + r * strideC;
        bool starts = (start & StartsAtC) && r < rows;
        #pragma unroll
        for (int j = 0; j < Each; j++)
        {
            int s = T::place(column, j);
            sums[i][j] = starts && s < columns ? from[s] : 0.0f;
        }
    }

    i64 level = (i64)blocks_x() * (Side * Side);
    stack += (i64)block_x() * (Side * Side) + thread;
    int height = 0, half = 0;
    for (int leaf = 0; leaf < leaves; leaf++)
    {
        int rest = leaves == 1 ? whole : counts[leaf];
        fetch(lefts, depthA, rest);
        fetch(rights, depthB, rest);
        for (; rest > 0; rest -= Deep)
        {
            float *x = left + half, *y = right + half;
            half = T::Size - half;
            lay(lefts, x);
            lay(rights, y);
            meet();
            fetch(lefts, depthA, rest - Deep);
            fetch(rights, depthB, rest - Deep);
            x += row;
            y += column;
            if (rest >= Deep)
            {
                #pragma unroll
                for (int k = 0; k < Deep; k++) step<T, Each>(x + k * T::Pitch, y + k * T::Pitch, sums);
            }
            else
            {
                #pragma nounroll
                for (int k = 0; k < rest; k++) step<T, Each>(x + k * T::Pitch, y + k * T::Pitch, sums);
            }
        }
        if (leaves == 1) break;
        lefts.from += (rest - Deep) * depthA;       // what was asked for beyond the block
        rights.from += (rest - Deep) * depthB;
        for (int join = joins[leaf]; join > 0; join--)
        {
            height--;
            #pragma unroll
            for (int i = 0; i < Each * Each; i++) sums[i / Each][i % Each] = stack[height * level + i * T::Threads] + sums[i / Each][i % Each];
        }
        if (leaf + 1 == leaves) break;
        #pragma unroll
        for (int i = 0; i < Each * Each; i++)
        {
            stack[height * level + i * T::Threads] = sums[i / Each][i % Each];
            sums[i / Each][i % Each] = 0.0f;
        }
        height++;
    }

    row = afresh(row);
    column = afresh(column);
    #pragma unroll
    for (int i = 0; i < Each; i++)
    {
        int r = T::place(row, i);
        float *to = c + r * strideC;
        if (r >= rows) continue;
        #pragma unroll
        for (int j = 0; j < Each; j += 4) put_four(to, T::place(column, j), columns, &sums[i][j], start);
    }
}
