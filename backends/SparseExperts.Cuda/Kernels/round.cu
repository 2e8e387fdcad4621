#include "elements.h"
#include "formats.h"

enum NumberFormat { FLOAT64, FLOAT32, FLOAT16, BFLOAT16 };

/// y = x rounded once to a format.
KERNEL round_to(SOURCE(x), VIEW(y), int rows, int columns, int format)
{
    EACH_ELEMENT(rows, columns)
    {
        float value = AT(x);
        AT(y) = format == FLOAT16 ? to_float16(value) : format == BFLOAT16 ? to_bfloat16(value) : value;
    }
}
