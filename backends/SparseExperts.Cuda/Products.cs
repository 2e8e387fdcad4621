using System.Runtime.InteropServices;

namespace SparseExperts.Cuda;

/// <summary>
/// How far apart an operand's numbers lie, in elements: from a line (a row of op(A) and of C, a column of op(B)) to the next, along a line, and from a
/// member of a batch to the next on its two levels.
/// </summary>
readonly record struct Steps(long Line, long Along, long Outer = 0, long Inner = 0);

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

    /// <summary>+0 is added to the sum, so that no zero is negative.</summary>
    PlusZero = 4,
}

/// <summary>
/// Which part of a causal product is needed; the rest is zeros or is not read. Row i of scores has an offset more columns than i + 1: the keys before
/// the first query.
/// </summary>
enum Triangle
{
    None,

    /// <summary>Columns up to row + offset: scores.</summary>
    Columns,

    /// <summary>k up to row + offset: probabilities times values.</summary>
    DepthTo,

    /// <summary>k from row − offset on: transposed probabilities times values.</summary>
    DepthFrom,
}

/// <summary>One product of a batch: where its operands begin, the rows of its C, the length of its k.</summary>
readonly record struct Member(long A, long B, long C, int Rows, int Depth);

/// <summary>At most a tile of rows of one product, as the kernels read it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct Slice(long A, long B, long C, int Rows, int Columns, int Depth, ProductEnd End)
{
    public const int Integers = 10;
}

/// <summary>Products of equal shape: all that their slices depend on.</summary>
readonly record struct ProductShape(
    int Rows, int Columns, int Depth, Steps A, Steps B, Steps C, SumTree Tree, ProductEnd End, int Outer = 1, int Inner = 1, Triangle Triangle = Triangle.None,
    int Offset = 0)
{
    public int Count => Outer * Inner;

    public IEnumerable<Member> Members
    {
        get
        {
            for (var o = 0; o < Outer; o++)
                for (var i = 0; i < Inner; i++)
                    yield return new(o * A.Outer + i * A.Inner, o * B.Outer + i * B.Inner, o * C.Outer + i * C.Inner, Rows, Depth);
        }
    }

    /// <summary>
    /// A slice for every <paramref name="side"/> rows of every member; when blocks of k are given to different slices, for every block too, with
    /// <paramref name="part"/> elements between the sums of two blocks.
    /// </summary>
    public Slice[] Slices(IEnumerable<Member> members, int side, long? part)
    {
        List<Slice> slices = [];
        for (var leaf = 0; leaf < (part is null ? 1 : Tree.Leaves); leaf++)
        {
            var end = part is null ? End : leaf == 0 ? End & ProductEnd.StartsAtC : ProductEnd.Overwrites;
            foreach (var member in members)
                for (var row = 0; row < member.Rows; row += side)
                {
                    var (rows, columns, start, depth) = (Math.Min(side, member.Rows - row), Columns, 0, member.Depth);
                    if (part is not null) (start, depth, _) = Tree[leaf];
                    if (Triangle == Triangle.Columns) columns = Math.Min(columns, row + rows + Offset);
                    if (Triangle == Triangle.DepthTo) depth = Math.Min(depth, row + rows + Offset);
                    if (Triangle == Triangle.DepthFrom) (start, depth) = (Math.Max(0, row - Offset), depth - Math.Max(0, row - Offset));
                    if (depth == 0 && End == ProductEnd.StartsAtC) continue;      // C stays what it is
                    long a = member.A + row * A.Line + start * A.Along, b = member.B + start * B.Along, c = member.C + row * C.Line + leaf * (part ?? 0);
                    slices.Add(new(a, b, c, rows, columns, depth, end));
                }
        }
        return [.. slices];
    }
}
