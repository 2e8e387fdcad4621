#include "elements.h"
#include "partials.h"

/// y (+)= the sums of blocks joined by halves: part l of element i lies at parts[l * size + i]. A thread an element.
KERNEL join_blocks(VIEW(y), int rows, int columns, const float *parts, i64 size, const int *joins, int leaves, int accumulate)
{
    EACH_ELEMENT(rows, columns) put(&AT(y), join_parts(parts + (i64)row * columns + column, size, joins, leaves), accumulate);
}
