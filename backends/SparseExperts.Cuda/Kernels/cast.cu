#include "elements.h"
#include "formats.h"

/// Views of numbers of two bytes.
#define NARROW(view) u16 *view, int view##_stride
#define NARROW_SOURCE(view) const u16 *view, int view##_stride

/// How a storage's numbers are kept, as ElementType numbers it.
enum ElementType { REAL, INTEGER, BFLOAT16, FLOAT16 };

DEVICE float value_of(u16 bits, int type) { return type == BFLOAT16 ? bfloat16_of(bits) : float16_of(bits); }
DEVICE u16 bits_in(float value, int type) { return (u16)(type == BFLOAT16 ? bits_of_bfloat16(value) : bits_of_float16(value)); }

/// y = x rounded once to a format of two bytes.
KERNEL narrow(SOURCE(x), NARROW(y), int rows, int columns, int to)
{
    EACH_ELEMENT(rows, columns) AT(y) = bits_in(AT(x), to);
}

/// y = x, exactly.
KERNEL widen(NARROW_SOURCE(x), VIEW(y), int rows, int columns, int from)
{
    EACH_ELEMENT(rows, columns) AT(y) = value_of(AT(x), from);
}

/// y = x from a format of two bytes to another.
KERNEL narrow_again(NARROW_SOURCE(x), NARROW(y), int rows, int columns, int from, int to)
{
    EACH_ELEMENT(rows, columns) AT(y) = bits_in(value_of(AT(x), from), to);
}

/// y = x, the bits.
KERNEL copy_narrow(NARROW_SOURCE(x), NARROW(y), int rows, int columns)
{
    EACH_ELEMENT(rows, columns) AT(y) = AT(x);
}

/// y_r = x_(index r), the bits; 0 where the index names no row.
KERNEL gather_narrow_rows(NARROW(y), int rows, int columns, NARROW_SOURCE(x), int x_rows, const int *index)
{
    EACH_ELEMENT(rows, columns)
    {
        int from = index[row];
        AT(y) = (u32)from < (u32)x_rows ? x[(i64)from * x_stride + column] : (u16)0;
    }
}
