#include "activations.h"
#include "elements.h"

/// y = f(x).
KERNEL activate(SOURCE(x), VIEW(y), int rows, int columns, int kind)
{
    EACH_ELEMENT(rows, columns) AT(y) = value_of(kind, AT(x));
}

/// dx (+)= dy·f'(x).
KERNEL activate_backward(SOURCE(x), SOURCE(dy), VIEW(dx), int rows, int columns, int kind, int accumulate)
{
    EACH_ELEMENT(rows, columns) put(&AT(dx), AT(dy) * slope_of(kind, AT(x)), accumulate);
}

/// y = f(gate)·linear.
KERNEL gated(SOURCE(gate), SOURCE(linear), VIEW(y), int rows, int columns, int kind)
{
    EACH_ELEMENT(rows, columns) AT(y) = value_of(kind, AT(gate)) * AT(linear);
}

/// dgate (+)= dy·linear·f'(gate), from the left; dlinear (+)= dy·f(gate).
KERNEL gated_backward(SOURCE(gate), SOURCE(linear), SOURCE(dy), VIEW(dgate), VIEW(dlinear), int rows, int columns,
    int kind, int accumulate_gate, int accumulate_linear)
{
    EACH_ELEMENT(rows, columns)
    {
        float x = AT(gate), factor = AT(linear), g = AT(dy);
        put(&AT(dgate), g * factor * slope_of(kind, x), accumulate_gate);
        put(&AT(dlinear), g * value_of(kind, x), accumulate_linear);
    }
}
