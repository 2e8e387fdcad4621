// Sums down a column over tokens (docs/numerics.md, N2): a thread has a column of a block, whose rows it adds in ascending order from 0.
// Block l has rows starts[l] … starts[l + 1] − 1; its sums are row l of the parts, which join_blocks joins. The element of a part is (block, column).
#include "blocks.h"

/// Σ_r x_r.
KERNEL sum_columns(VIEW(parts), int rows, int columns, const int *starts, SOURCE(x))
{
    EACH_ELEMENT(rows, columns)
    {
        float sum = 0.0f;
        EACH_ROW_OF_BLOCK(r) sum = sum + IN_ROW(x, r);
        AT(parts) = sum;
    }
}

/// Σ_r dy_r·x̂_r, fused, x̂ = x·scale: the gradient of RMSNorm's weight.
KERNEL rms_norm_weight(VIEW(parts), int rows, int columns, const int *starts, SOURCE(x), SOURCE(scale), SOURCE(dy))
{
    EACH_ELEMENT(rows, columns)
    {
        float sum = 0.0f;
        EACH_ROW_OF_BLOCK(r) sum = fma(IN_ROW(dy, r), IN_ROW(x, r) * scale[(i64)r * scale_stride], sum);
        AT(parts) = sum;
    }
}

/// Σ_r dy_r·x̂_r, fused, x̂ = (x − μ)·scale, and Σ_r dy_r: the gradients of LayerNorm's weight and bias.
KERNEL layer_norm_parameters(VIEW(slopes), VIEW(offsets), int rows, int columns, const int *starts, SOURCE(x), SOURCE(statistics), SOURCE(dy))
{
    EACH_ELEMENT(rows, columns)
    {
        float slope = 0.0f, offset = 0.0f;
        EACH_ROW_OF_BLOCK(r)
        {
            const float *of_row = statistics + (i64)r * statistics_stride;
            float g = IN_ROW(dy, r);
            slope = fma(g, (IN_ROW(x, r) - of_row[0]) * of_row[1], slope);
            offset = offset + g;
        }
        AT(slopes) = slope;
        AT(offsets) = offset;
    }
}
