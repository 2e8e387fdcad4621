#include "elements.h"

/// y = value.
KERNEL fill(VIEW(y), int rows, int columns, float value)
{
    EACH_ELEMENT(rows, columns) AT(y) = value;
}

/// y = x.
KERNEL copy(SOURCE(x), VIEW(y), int rows, int columns)
{
    EACH_ELEMENT(rows, columns) AT(y) = AT(x);
}
