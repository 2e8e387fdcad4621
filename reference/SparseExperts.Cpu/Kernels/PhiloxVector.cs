using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
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
        V mask = Vector512.Create(Low), x = counter & mask, y = Vector512.ShiftRightLogical(counter, 32);
        V z = Vector512.Create(stream.Stream & Low), w = Vector512.Create(stream.Stream >> 32);
        uint k0 = (uint)stream.Seed, k1 = (uint)(stream.Seed >> 32);
        for (var round = 0; round < 10; round++, k0 += W0, k1 += W1)
        {
            V p = Vector512.Create(M0) * x, q = Vector512.Create(M1) * z;
            (x, y, z, w) = (Vector512.ShiftRightLogical(q, 32) ^ y ^ Vector512.Create((ulong)k0), q & mask, Vector512.ShiftRightLogical(p, 32) ^ w ^ Vector512.Create((ulong)k1), p & mask);
        }
        // Two words a lane, then lanes of two neighbours side by side: x₀y₀ z₀w₀ x₁y₁ …
        V first = x | Vector512.ShiftLeft(y, 32), second = z | Vector512.ShiftLeft(w, 32);
        var to = (ulong*)words;
        for (var i = 0; i < 8; i++) (to[2 * i], to[2 * i + 1]) = (first[i], second[i]);
    }
}
