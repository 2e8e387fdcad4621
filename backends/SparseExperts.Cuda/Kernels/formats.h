// Numbers of two bytes: what float32 is rounded to, and their bits.
#pragma once
#include "gpu.h"

/// To nearest even at a bit: everything below it becomes 0. A magnitude may carry into the exponent, up to ∞.
DEVICE u32 to_even(u32 bits, int dropped) { return (bits + (1u << (dropped - 1)) - 1 + ((bits >> dropped) & 1)) & (~0u << dropped); }

/// The upper half of float32.
DEVICE float to_bfloat16(float x)
{
    u32 bits = bits_of(x);
    return (bits & 0x7fffffffu) >= 0x7f800000u ? x : float_of(to_even(bits, 16));
}

/// 10 bits of fraction from 2⁻¹⁴ to 65504, multiples of 2⁻²⁴ below (which is the last place of numbers from ½ to 1), ±∞ beyond.
DEVICE float to_float16(float x)
{
    u32 bits = bits_of(x) & 0x7fffffffu, sign = bits_of(x) ^ bits;
    if (bits >= 0x7f800000u) return x;
    float size = float_of(bits) < 6.103515625e-5f ? (float_of(bits) + 0.5f) - 0.5f : float_of(to_even(bits, 13));
    return float_of(bits_of(size >= 65536.0f ? __builtin_inff() : size) | sign);
}

/// The bits of a bfloat16: the upper half. A NaN is made quiet, so that it has a digit in the half that stays.
DEVICE u32 bits_of_bfloat16(float x) { return bits_of(to_bfloat16(x)) >> 16 | (is_nan(x) ? 0x40u : 0); }

DEVICE float bfloat16_of(u32 bits) { return float_of(bits << 16); }

/// The bits of a binary16: the exponent counts from 15 in place of 127; below 2⁻¹⁴ multiples of 2⁻²⁴.
DEVICE u32 bits_of_float16(float x)
{
    u32 rounded = bits_of(to_float16(x)), size = rounded & 0x7fffffffu, sign = (rounded ^ size) >> 16;
    if (size > 0x7f800000u) return sign | 0x7e00u;
    if (size == 0x7f800000u) return sign | 0x7c00u;
    if (size < bits_of(6.103515625e-5f)) return sign | (u32)(int)(float_of(size) * 16777216.0f);
    return sign | ((size >> 13) - (112u << 10));
}

DEVICE float float16_of(u32 bits)
{
    u32 size = bits & 0x7fffu, sign = (bits & 0x8000u) << 16;
    if (size >= 0x7c00u) return float_of(sign | 0x7f800000u | size << 13);
    if (size < 0x400u) return float_of(bits_of((float)(int)size * 5.9604644775390625e-8f) | sign);
    return float_of(sign | ((size << 13) + (112u << 23)));
}
