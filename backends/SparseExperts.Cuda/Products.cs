using System.Runtime.InteropServices;

namespace SparseExperts.Cuda;

/// <summary>
/// How far apart an operand's numbers lie, in elements: from a line (a row of op(A) and of C, a column of op(B)) to the next, and along a line.
/// </summary>
readonly record struct Steps(long Line, long Along);

/// <summary>What becomes of C, as the kernels number it.</summary>
[Flags]
enum ProductEnd
{
    /// <summary>It is written over.</summary>
    Overwrites = 0,

    /// <summary>The chain of the first block of k starts from it.</summary>
    StartsAtC = 1,

    /// <summary>The sum is added to it.</summary>
    AddsToC = 2,
}

/// <summary>At most a tile of rows of one product, as the kernels read it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct Slice(long A, long B, long C, int Rows, int Columns, int Depth, ProductEnd End)
{
    public const int Integers = 10;
}

/// <summary>A product: all that its slices depend on.</summary>
readonly record struct ProductShape(int Rows, int Columns, int Depth, Steps A, Steps B, Steps C, SumTree Tree, ProductEnd End)
{
    /// <summary>
    /// A slice for every <paramref name="side"/> rows; when blocks of k are given to different slices, for every block too, with
    /// <paramref name="part"/> elements between the sums of two blocks.
    /// </summary>
    public Slice[] Slices(int side, long? part)
    {
        List<Slice> slices = [];
        for (var leaf = 0; leaf < (part is null ? 1 : Tree.Leaves); leaf++)
        {
            var end = part is null ? End : leaf == 0 ? End & ProductEnd.StartsAtC : ProductEnd.Overwrites;
            var (start, depth) = (0, Depth);
            if (part is not null) (start, depth, _) = Tree[leaf];
            if (depth == 0 && End == ProductEnd.StartsAtC) continue;      // C stays what it is
            for (var row = 0; row < Rows; row += side)
            {
                long a = row * A.Line + start * A.Along, b = start * B.Along, c = row * C.Line + leaf * (part ?? 0);
                slices.Add(new(a, b, c, Math.Min(side, Rows - row), Columns, depth, end));
            }
        }
        return [.. slices];
    }
}
