#include "elements.h"

/// y_rj = x_rj·s_r, or fma(x_rj, s_r, y_rj).
KERNEL scale_rows(SOURCE(x), SOURCE(s), VIEW(y), int rows, int columns, int accumulate)
{
    EACH_ELEMENT(rows, columns) AT(y) = accumulate ? fma(AT(x), FIRST(s), AT(y)) : AT(x) * FIRST(s);
}
