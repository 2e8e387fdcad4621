#include "elements.h"

/// Word `index` of a stream of Philox 4x32-10 (Salmon et al. 2011): word index mod 4 of block index / 4.
DEVICE u32 philox_word(u64 seed, u64 stream, u64 index)
{
    u64 block = index / 4;
    u32 x = (u32)block, y = (u32)(block >> 32), z = (u32)stream, w = (u32)(stream >> 32), k0 = (u32)seed, k1 = (u32)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
    {
        u32 p = 0xD2511F53u * x, q = 0xCD9E8D57u * z, upper_p = __nvvm_mulhi_ui(0xD2511F53u, x), upper_q = __nvvm_mulhi_ui(0xCD9E8D57u, z);
        x = upper_q ^ y ^ k0;
        y = q;
        z = upper_p ^ w ^ k1;
        w = p;
    }
    u32 lower = index & 1 ? y : x, upper = index & 1 ? w : z;
    return index & 2 ? upper : lower;
}

/// y (+)= x·keep where the upper 24 bits of the element's word are at least `least`, else 0. Row r has the words of row places[r], or of r without
/// places; a place of −1 is dropped.
KERNEL dropout(SOURCE(x), VIEW(y), int rows, int columns, const int *places,
    u64 seed, u64 stream, i64 offset, i64 row_stride, int least, float keep, int accumulate)
{
    EACH_ELEMENT(rows, columns)
    {
        int place = places ? places[row] : row;
        bool kept = place >= 0 && philox_word(seed, stream, (u64)(offset + place * row_stride + column)) >> 8 >= (u32)least;
        put(&AT(y), kept ? AT(x) * keep : 0.0f, accumulate);
    }
}
