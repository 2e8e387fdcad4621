#include "elements.h"
#include "rows.h"

#define STEP_GROUPS 16

/// y = factor, norm, loss of a step, from the squares of its gradient; factor is NaN where the step is left out. One block: its half-warps have sixteen of
/// the 256 lanes each, and the first joins their sums. `fault` is null where no op has looked at an index.
KERNEL THREADS(LANES * STEP_GROUPS) step_factor(SOURCE(squares), int count, const float *loss, float clip, const float *before, const int *fault, float *y)
{
    static SHARED float groups[STEP_GROUPS];
    int lane = thread_x(), group = thread_y();
    float sum = 0.0f;
    _Pragma("unroll 8") for (int i = LANES * group + lane; i < count; i += LANES * STEP_GROUPS) sum = sum + squares[(i64)i * squares_stride];
    sum = join_lanes(sum);
    if (lane == 0) groups[group] = sum;
    meet();
    float norm = root(join_lanes(groups[lane]));
    if (lane != 0 || group != 0) return;
    float share = clip / (norm + 1e-6f);
    bool is_taken = is_finite(norm) && is_finite(*loss) && is_finite(*before) && !(fault && fault[0]);
    y[0] = !is_taken ? __builtin_nanf("") : clip != 0.0f && share < 1.0f ? share : 1.0f;
    y[1] = norm;
    y[2] = *loss;
}

/// One step of AdamW with decoupled decay (Loshchilov & Hutter 2019), in PyTorch's order. Constants are rounded once on the host.
KERNEL adam_w(VIEW(parameter), SOURCE(gradient), VIEW(first), VIEW(second), int rows, int columns,
    const float *factor, float decay, float new1, float keep2, float new2, float size, float root_correction, float epsilon)
{
    if (is_left_out(factor)) return;
    EACH_ELEMENT(rows, columns)
    {
        float g = *factor * AT(gradient);
        float m = fma(new1, g - AT(first), AT(first));
        float v = fma(new2 * g, g, keep2 * AT(second));
        AT(first) = m;
        AT(second) = v;
        AT(parameter) = fma(size, m / (root(v) / root_correction + epsilon), decay * AT(parameter));
    }
}
