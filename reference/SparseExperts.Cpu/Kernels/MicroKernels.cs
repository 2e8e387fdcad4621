namespace SparseExperts.Cpu;

/// <summary>Where a chain starts: at 0 or at what C holds, or at 0 with C added when it is complete.</summary>
enum Start { AtZero, AtC, AtZeroThenC }

/// <summary>Which generated kernel serves a tile: register width in bits, rows of the tile, registers a row, A transposed.</summary>
static unsafe partial class MicroKernels
{
    /// <summary>The tallest kernel that fits what is left.</summary>
    public static int Height(int left, int tallest) => left >= tallest ? tallest : left switch { >= 8 => 8, >= 4 => 4, >= 2 => 2, _ => 1 };

    public static delegate*<long, float*, long, float*, long, float*, long, Start, void> Find(int bits, int rows, int vectors, bool transposed) =>
        (bits, rows, vectors, transposed) switch
        {
            (512, 12, 2, false) => &N512_12x2,
            (512, 8, 2, false) => &N512_8x2,
            (512, 4, 2, false) => &N512_4x2,
            (512, 2, 2, false) => &N512_2x2,
            (512, 1, 2, false) => &N512_1x2,
            (512, 12, 2, true) => &T512_12x2,
            (512, 8, 2, true) => &T512_8x2,
            (512, 4, 2, true) => &T512_4x2,
            (512, 2, 2, true) => &T512_2x2,
            (512, 1, 2, true) => &T512_1x2,
            (512, 12, 1, false) => &N512_12x1,
            (512, 8, 1, false) => &N512_8x1,
            (512, 4, 1, false) => &N512_4x1,
            (512, 2, 1, false) => &N512_2x1,
            (512, 1, 1, false) => &N512_1x1,
            (512, 12, 1, true) => &T512_12x1,
            (512, 8, 1, true) => &T512_8x1,
            (512, 4, 1, true) => &T512_4x1,
            (512, 2, 1, true) => &T512_2x1,
            (512, 1, 1, true) => &T512_1x1,
            (256, 6, 2, false) => &N256_6x2,
            (256, 4, 2, false) => &N256_4x2,
            (256, 2, 2, false) => &N256_2x2,
            (256, 1, 2, false) => &N256_1x2,
            (256, 6, 2, true) => &T256_6x2,
            (256, 4, 2, true) => &T256_4x2,
            (256, 2, 2, true) => &T256_2x2,
            (256, 1, 2, true) => &T256_1x2,
            (256, 6, 1, false) => &N256_6x1,
            (256, 4, 1, false) => &N256_4x1,
            (256, 2, 1, false) => &N256_2x1,
            (256, 1, 1, false) => &N256_1x1,
            (256, 6, 1, true) => &T256_6x1,
            (256, 4, 1, true) => &T256_4x1,
            (256, 2, 1, true) => &T256_2x1,
            (256, 1, 1, true) => &T256_1x1,
            _ => throw new InvalidOperationException($"no {bits}-bit kernel of {rows} rows and {vectors} registers a row"),
        };
}
