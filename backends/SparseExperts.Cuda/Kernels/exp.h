// The elementary functions of the definition, operation by operation.
#pragma once
#include "gpu.h"

DEVICE float power_of_two(int n) { return float_of((u32)(n + 127) << 23); }

/// e^x = 2^n e^r with n = round(x / ln 2), |r| ≤ ln 2 / 2, e^r = 1 + r + r² p(r). Overflows to +∞, underflows through subnormals to 0.
DEVICE float exp_of(float x)
{
    if (is_nan(x)) return x;
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
    float r = fma(n, -0.693359375f, x);
    r = fma(n, 2.12194440e-4f, r);
    float p = fma(0.0013814320554956794f, r, 0.00836885068565607f);
    p = fma(p, r, 0.041668400168418884f);
    p = fma(p, r, 0.1666651964187622f);
    p = fma(p, r, 0.4999999403953552f);
    p = fma(p, r * r, r) + 1.0f;
    int i = (int)n, half = i >> 1;
    return p * power_of_two(half) * power_of_two(i - half);
}
