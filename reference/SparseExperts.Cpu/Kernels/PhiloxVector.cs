using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector512<ulong>;

namespace SparseExperts.Cpu;

/// <summary>Eight blocks of the counter-based generator at once; integers, so the words are those of <see cref="Philox.Block"/> on any machine.</summary>
static unsafe class PhiloxVector
{
    public const int Words = 32;

    const ulong M0 = 0xD2511F53, M1 = 0xCD9E8D57, Low = 0xFFFFFFFF;
    const uint W0 = 0x9E3779B9, W1 = 0xBB67AE85;

    /// <summary>Words 4·<paramref name="block"/> … 4·<paramref name="block"/> + 31 of a stream; each lane of 64 bits holds one word of a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Fill(RandomStream stream, ulong block, uint* words)
    {
        var counter = Vector512.Create(block) + Vector512.Create(0UL, 1, 2, 3, 4, 5, 6, 7);
        V mask = Vector512.Create(Low), m0 = Vector512.Create(M0), m1 = Vector512.Create(M1);
        V x = counter & mask, y = Vector512.ShiftRightLogical(counter, 32);
        V z = Vector512.Create(stream.Stream & Low), w = Vector512.Create(stream.Stream >> 32);
        uint k0 = (uint)stream.Seed, k1 = (uint)(stream.Seed >> 32);
        for (var round = 0; round < 10; round++, k0 += W0, k1 += W1)
        {
            // The product's upper half goes on as one word and its lower as another: words are read modulo 2³² from here on, so nothing is masked.
            V p = Product(m0, x), q = Product(m1, z);
            var nextX = Vector512.ShiftRightLogical(q, 32) ^ y ^ Vector512.Create((ulong)k0);
            var nextZ = Vector512.ShiftRightLogical(p, 32) ^ w ^ Vector512.Create((ulong)k1);
            (x, y, z, w) = (nextX, q, nextZ, p);
        }
        StoreAlternately((x & mask) | Vector512.ShiftLeft(y, 32), (z & mask) | Vector512.ShiftLeft(w, 32), (ulong*)words);
    }

    /// <summary>
    /// The product of the lower halves of each lane, which one fast instruction computes; a product of whole lanes takes three times as long.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Product(V a, V b)
    {
        if (Avx512F.IsSupported) return Avx512F.Multiply(a.AsUInt32(), b.AsUInt32());
        if (Avx2.IsSupported)
        {
            var lower = Avx2.Multiply(a.GetLower().AsUInt32(), b.GetLower().AsUInt32());
            var upper = Avx2.Multiply(a.GetUpper().AsUInt32(), b.GetUpper().AsUInt32());
            return Vector512.Create(lower, upper);
        }
        return (a & Vector512.Create(Low)) * (b & Vector512.Create(Low));
    }

    /// <summary>Two words a lane, then lanes of two neighbours side by side: x₀y₀ z₀w₀ x₁y₁ …</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void StoreAlternately(V first, V second, ulong* to)
    {
        if (Avx512F.IsSupported)
        {
            Avx512F.PermuteVar8x64x2(first, Vector512.Create(0UL, 8, 1, 9, 2, 10, 3, 11), second).Store(to);
            Avx512F.PermuteVar8x64x2(first, Vector512.Create(4UL, 12, 5, 13, 6, 14, 7, 15), second).Store(to + 8);
            return;
        }
        for (var i = 0; i < 8; i++) (to[2 * i], to[2 * i + 1]) = (first[i], second[i]);
    }
}
