// Activations and their slopes, by the number of their kind.
#pragma once
#include "math.h"

enum Activation { RELU, GELU_ERF, GELU_TANH, SILU, SIGMOID, TANH, SOFTPLUS, IDENTITY, SQRT, EXP, LOG, ERF };

#define INVERSE_SQRT_2 ((float)0.70710678118654752440)
#define INVERSE_SQRT_2_PI ((float)0.39894228040143267794)
#define TANH_SCALE ((float)0.79788456080286535588)
#define CUBIC ((float)0.044715)
#define TWO_OVER_ROOT_PI ((float)1.12837916709551257390)

/// −|x|, as what e is raised to: it never overflows.
DEVICE float below_zero(float x) { return x < 0.0f ? x : -x; }

/// 1/(1 + e^−x), or e^x/(1 + e^x) for negative x so that tiny values keep their digits.
DEVICE float sigmoid(float x)
{
    float e = exp(below_zero(x));
    float r = 1.0f / (1.0f + e);
    return x < 0.0f ? e * r : r;
}

DEVICE float tanh_inner(float x) { return TANH_SCALE * fma(CUBIC * x * x, x, x); }

/// f(x).
DEVICE float value_of(int kind, float x)
{
    switch (kind)
    {
        case RELU: return x <= 0.0f ? 0.0f : x;
        case GELU_ERF: return 0.5f * x * (1.0f + erf(x * INVERSE_SQRT_2));
        case GELU_TANH: return 0.5f * x * (1.0f + tanh(tanh_inner(x)));
        case SILU: return x * sigmoid(x);
        case SIGMOID: return sigmoid(x);
        case TANH: return tanh(x);
        case SOFTPLUS: return (x <= 0.0f ? 0.0f : x) + log1p(exp(below_zero(x)));
        case SQRT: return root(x);
        case EXP: return exp(x);
        case LOG: return log(x);
        case ERF: return erf(x);
        default: return x;
    }
}

/// f'(x).
DEVICE float slope_of(int kind, float x)
{
    switch (kind)
    {
        case RELU: return x <= 0.0f ? 0.0f : 1.0f;
        case GELU_ERF:                                            // Φ(x) + x·φ(x)
        {
            float phi = exp(-0.5f * x * x) * INVERSE_SQRT_2_PI;
            return fma(x, phi, 0.5f * (1.0f + erf(x * INVERSE_SQRT_2)));
        }
        case GELU_TANH:                                           // ½(1 + t) + ½x(1 − t²)·u'
        {
            float t = tanh(tanh_inner(x));
            float inner = TANH_SCALE * fma(3.0f * CUBIC, x * x, 1.0f);
            return fma(0.5f * x * (1.0f - t) * (1.0f + t), inner, 0.5f * (1.0f + t));
        }
        case SILU:                                                // σ + x·σ·(1 − σ)
        {
            float s = sigmoid(x);
            return fma(x * s, 1.0f - s, s);
        }
        case SIGMOID:
        {
            float s = sigmoid(x);
            return s * (1.0f - s);
        }
        case TANH:
        {
            float t = tanh(x);
            return (1.0f - t) * (1.0f + t);
        }
        case SOFTPLUS: return sigmoid(x);
        case SQRT: return 0.5f / root(x);
        case EXP: return exp(x);
        case LOG: return 1.0f / x;
        case ERF: return TWO_OVER_ROOT_PI * exp(-x * x);          // 2/√π·e^(−x²)
        default: return 1.0f;
    }
}
