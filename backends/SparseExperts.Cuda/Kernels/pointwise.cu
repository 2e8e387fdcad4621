#include "elements.h"

/// c = a + b.
KERNEL add(SOURCE(a), SOURCE(b), VIEW(c), int rows, int columns)
{
    EACH_ELEMENT(rows, columns) AT(c) = AT(a) + AT(b);
}

/// c = a·b, or fma(a, b, c).
KERNEL multiply(SOURCE(a), SOURCE(b), VIEW(c), int rows, int columns, int accumulate)
{
    EACH_ELEMENT(rows, columns) AT(c) = accumulate ? fma(AT(a), AT(b), AT(c)) : AT(a) * AT(b);
}

/// c = factor·a, or fma(factor, a, c).
KERNEL scale(SOURCE(a), VIEW(c), int rows, int columns, float factor, int accumulate)
{
    EACH_ELEMENT(rows, columns) AT(c) = accumulate ? fma(factor, AT(a), AT(c)) : factor * AT(a);
}

/// dx_r (+)= (factor·dy)·x_r, fused.
KERNEL sum_squares_backward(SOURCE(x), VIEW(dx), int rows, int columns, const float *dy, float factor, int accumulate)
{
    EACH_ELEMENT(rows, columns) AT(dx) = fma(AT(x), factor * *dy, accumulate ? AT(dx) : 0.0f);
}

/// c (+)= a / b.
KERNEL divide(SOURCE(a), SOURCE(b), VIEW(c), int rows, int columns, int accumulate)
{
    EACH_ELEMENT(rows, columns) put(&AT(c), AT(a) / AT(b), accumulate);
}

/// y = x, but low below it and high above it; NaN stays.
KERNEL clamp(SOURCE(x), VIEW(y), int rows, int columns, float low, float high)
{
    EACH_ELEMENT(rows, columns)
    {
        float value = AT(x);
        AT(y) = value < low ? low : value > high ? high : value;
    }
}

/// dx (+)= dy, but 0 where x lies outside the bounds; NaN lies inside.
KERNEL clamp_backward(SOURCE(x), SOURCE(dy), VIEW(dx), int rows, int columns, float low, float high, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        float value = AT(x);
        put(&AT(dx), value < low || value > high ? 0.0f : AT(dy), accumulate);
    }
}

/// Half-split rotary positions: a thread has a pair (i, i + half) of a head, so that y may be x. `columns` counts the pairs of a row.
KERNEL rotary(SOURCE(x), SOURCE(cosines), SOURCE(sines), VIEW(y), int rows, int columns, int half, int positions, int inverse, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        int i = column % half, position = row % positions;
        float cosine = cosines[(i64)position * cosines_stride + i], sine = sines[(i64)position * sines_stride + i];
        if (inverse) sine = -sine;
        int place = 2 * column - i;                               // head·2·half + i
        const float *from = x + (i64)row * x_stride + place;
        float *to = y + (i64)row * y_stride + place;
        float u = from[0], v = from[half];
        put(to, fma(-v, sine, u * cosine), accumulate);
        put(to + half, fma(u, sine, v * cosine), accumulate);
    }
}
