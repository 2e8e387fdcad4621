#include "elements.h"

/// One step of AdamW with decoupled decay (Loshchilov & Hutter 2019), in PyTorch's order. Constants are rounded once on the host.
KERNEL adam_w(VIEW(parameter), SOURCE(gradient), VIEW(first), VIEW(second), int rows, int columns,
    float factor, float decay, float new1, float keep2, float new2, float size, float root_correction, float epsilon)
{
    EACH_ELEMENT(rows, columns)
    {
        float g = factor * AT(gradient);
        float m = fma(new1, g - AT(first), AT(first));
        float v = fma(new2 * g, g, keep2 * AT(second));
        AT(first) = m;
        AT(second) = v;
        AT(parameter) = fma(size, m / (root(v) / root_correction + epsilon), decay * AT(parameter));
    }
}
