namespace SparseExperts;

/// <summary>
/// Philox 4x32-10 (Salmon et al. 2011, section 4.2): a counter-based generator. Word i of a stream is word i mod 4 of block i / 4,
/// so any word is found without the ones before it and a checkpoint needs only the counters.
/// </summary>
public static class Philox
{
    const uint M0 = 0xD2511F53, M1 = 0xCD9E8D57, W0 = 0x9E3779B9, W1 = 0xBB67AE85;

    /// <summary>The four words of block <paramref name="index"/> of a stream.</summary>
    public static (uint X, uint Y, uint Z, uint W) Block(RandomStream stream, ulong index)
    {
        uint x = (uint)index, y = (uint)(index >> 32), z = (uint)stream.Stream, w = (uint)(stream.Stream >> 32);
        uint k0 = (uint)stream.Seed, k1 = (uint)(stream.Seed >> 32);
        for (var round = 0; round < 10; round++, k0 += W0, k1 += W1)
        {
            ulong p = (ulong)M0 * x, q = (ulong)M1 * z;
            (x, y, z, w) = ((uint)(q >> 32) ^ y ^ k0, (uint)q, (uint)(p >> 32) ^ w ^ k1, (uint)p);
        }
        return (x, y, z, w);
    }

    /// <summary>Word <paramref name="index"/> of a stream.</summary>
    public static uint Word(RandomStream stream, ulong index)
    {
        var (x, y, z, w) = Block(stream, index / 4);
        return (index % 4) switch { 0 => x, 1 => y, 2 => z, _ => w };
    }

    /// <summary>A word as a float in [0, 1): its upper 24 bits times 2⁻²⁴, exact.</summary>
    public static float Uniform(uint word) => (word >> 8) * (1f / 16777216f);

    /// <summary>Word <paramref name="index"/> as a double in [0, 1).</summary>
    public static double UniformDouble(RandomStream stream, ulong index)
    {
        var (x, y, _, _) = Block(stream, index);
        return ((ulong)(x >> 5) * 67108864 + (y >> 6)) * (1.0 / 9007199254740992.0);
    }

    /// <summary>Standard normal number <paramref name="index"/> of a stream (Box–Muller in double, one per block).</summary>
    public static double Normal(RandomStream stream, ulong index)
    {
        var (x, y, z, w) = Block(stream, index);
        var radius = (((ulong)(x >> 5) * 67108864 + (y >> 6)) + 1) * (1.0 / 9007199254740993.0);
        var turns = ((ulong)(z >> 5) * 67108864 + (w >> 6)) * (1.0 / 9007199254740992.0);
        return Math.Sqrt(-2 * ReproducibleMath.Log(radius)) * ReproducibleMath.CosOfTurns(turns);
    }
}
