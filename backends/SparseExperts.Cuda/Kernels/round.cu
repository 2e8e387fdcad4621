#include "elements.h"

enum NumberFormat { FLOAT64, FLOAT32, FLOAT16, BFLOAT16 };

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

/// y = x rounded once to a format.
KERNEL round_to(SOURCE(x), VIEW(y), int rows, int columns, int format)
{
    EACH_ELEMENT(rows, columns)
    {
        float value = AT(x);
        AT(y) = format == FLOAT16 ? to_float16(value) : format == BFLOAT16 ? to_bfloat16(value) : value;
    }
}
