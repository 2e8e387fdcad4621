// The elementary functions of docs/numerics.md in float32: IEEE operations and fma only, operation by operation those of the CPU, so that the bits
// are the same on every machine. NaN is asked for last, so that loops of them have no branches.
#pragma once
#include "gpu.h"

#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f

DEVICE float power_of_two(int n) { return float_of((u32)(n + 127) << 23); }

/// The magnitude of one number with the sign of another.
DEVICE float with_sign(float magnitude, float sign) { return float_of((bits_of(magnitude) & 0x7fffffffu) | (bits_of(sign) & 0x80000000u)); }

/// e^x = 2^n·e^r with n = round(x/ln 2), |r| ≤ ln2/2, e^r = 1 + r + r²·p(r). Overflows to +∞, underflows through subnormals to 0.
DEVICE float exp(float x)
{
    float y = x > 89.0f ? 89.0f : x;
    y = y < -104.0f ? -104.0f : y;
    float n = (y * 1.44269504f + 12582912.0f) - 12582912.0f;
    float r = fma(n, -LN2_HIGH, y);
    r = fma(n, -(LN2_LOW), r);
    float p = fma(0.0013814320554956794f, r, 0.00836885068565607f);
    p = fma(p, r, 0.041668400168418884f);
    p = fma(p, r, 0.1666651964187622f);
    p = fma(p, r, 0.4999999403953552f);
    p = fma(p, r * r, r) + 1.0f;
    int i = (int)n, half = i >> 1;
    p = p * power_of_two(half) * power_of_two(i - half);
    return is_nan(x) ? x : p;
}

/// ln x = e·ln 2 + f − f²/2 + f³·p(f), x = 2^e(1 + f), 1 + f in [√½, √2). ln 0 = −∞, ln of a negative is NaN.
DEVICE float log(float x)
{
    if (!(x > 0.0f)) return x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
    if (x == __builtin_inff()) return x;
    bool scaled = x < 1.17549435e-38f;
    int bits = (int)bits_of(scaled ? x * 8388608.0f : x);
    int e = (bits - 0x3f3504f3) >> 23;                            // so that the mantissa starts at √½
    float f = float_of((u32)bits - ((u32)e << 23)) - 1.0f;
    float exponent = (float)(e - (scaled ? 23 : 0));
    float p = fma(-0.07634492963552475f, f, 0.12761574983596802f);
    p = fma(p, f, -0.13160182535648346f);
    p = fma(p, f, 0.14201758801937103f);
    p = fma(p, f, -0.16623356938362122f);
    p = fma(p, f, 0.20001226663589478f);
    p = fma(p, f, -0.2500081956386566f);
    p = fma(p, f, 0.3333333134651184f);
    float square = f * f;
    float y = fma(p, square * f, exponent * LN2_LOW);
    y = fma(square, -0.5f, y);
    return fma(exponent, LN2_HIGH, f + y);
}

/// ln(1 + x) for x in [0, 1]: the logarithm of what 1 + x is rounded to, corrected for what that loses (Kahan).
DEVICE float log1p(float x)
{
    float w = 1.0f + x;
    float lost = (x - (w - 1.0f)) / w;
    return log(w) + lost;
}

/// tanh x = x + x³·p(x²) below 0.625, else 1 − 2/(e^{2|x|} + 1) with the sign of x.
DEVICE float tanh(float x)
{
    float a = magnitude(x), z = x * x;
    float p = fma(-0.005717044696211815f, z, 0.020650586113333702f);
    p = fma(p, z, -0.05374349653720856f);
    p = fma(p, z, 0.13331490755081177f);
    p = fma(p, z, -0.3333328366279602f);
    float near = fma(p, z * a, a);
    float far = 1.0f - 2.0f / (exp(a + a) + 1.0f);
    return is_nan(x) ? x : with_sign(a < 0.625f ? near : far, x);
}

/// erf x = x + x·p(x²) below 0.92, else 1 − e^{q(|x|)} with the sign of x; 1 from 4 on.
DEVICE float erf(float x)
{
    float a = magnitude(x), z = x * x;
    float p = fma(8.345227251993492e-05f, z, -0.0008137437980622053f);
    p = fma(p, z, 0.005200634244829416f);
    p = fma(p, z, -0.02685927040874958f);
    p = fma(p, z, 0.11283694207668304f);
    p = fma(p, z, -0.37612634897232056f);
    p = fma(p, z, 0.12837916612625122f);
    float near = fma(p, x, x);
    float b = a < 4.0f ? a : 4.0f;
    float q = fma(-2.0965366275049746e-05f, b, 0.00043296627700328827f);
    q = fma(q, b, -0.004163829609751701f);
    q = fma(q, b, 0.025100428611040115f);
    q = fma(q, b, -0.10825079679489136f);
    q = fma(q, b, -0.6333734393119812f);
    q = fma(q, b, -1.1295018196105957f);
    q = fma(q, b, 0.00017197334091179073f);
    float far = 1.0f - exp(q);
    return is_nan(x) ? x : a < 0.92f ? near : with_sign(far, x);
}
