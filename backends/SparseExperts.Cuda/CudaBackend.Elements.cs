using System.Numerics;

namespace SparseExperts.Cuda;

/// <summary>Launches in two patterns: a thread for every element, and a half-warp for every row.</summary>
public sealed partial class CudaBackend
{
    /// <summary>Lanes of a row, and rows of a block, as rows.h has them.</summary>
    const int Lanes = 16, RowsOfBlock = 8;

    /// <summary>
    /// A kernel with a thread for every element of views of equal shape. Its parameters are the views, rows, columns and <paramref name="rest"/>. Views
    /// without gaps are one long row to it, so it must not care which row an element is in.
    /// </summary>
    void Elements(string kernel, ReadOnlySpan<Matrix> views, params ReadOnlySpan<KernelArgument> rest)
    {
        var (rows, columns) = (views[0].Rows, views[0].Columns);
        var whole = views[0].Count <= 1 << 30;
        foreach (var view in views) whole &= view.IsContiguous;
        if (whole) (rows, columns) = (1, rows * columns);
        Elements(kernel, views, rows, columns, rest);
    }

    /// <summary>The same with the true row and column of every element.</summary>
    void Elements(string kernel, ReadOnlySpan<Matrix> views, int rows, int columns, params ReadOnlySpan<KernelArgument> rest)
    {
        var width = (int)Math.Min(ElementThreads, BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, columns)));
        var height = ElementThreads / width;
        Launch(kernel, new(Blocks(columns, width), Math.Min(_driver.Device.MaxBlocksY, Blocks(rows, height)), 1, width, height),
            Arguments(views, rows, columns, rest));
    }

    /// <summary>A kernel with a half-warp for every row. Its parameters are the views, rows, columns and <paramref name="rest"/>.</summary>
    void EachRow(string kernel, ReadOnlySpan<Matrix> views, int rows, int columns, params ReadOnlySpan<KernelArgument> rest) =>
        Launch(kernel, new(Blocks(rows, RowsOfBlock), 1, 1, Lanes, RowsOfBlock), Arguments(views, rows, columns, rest));

    static KernelArgument[] Arguments(ReadOnlySpan<Matrix> views, int rows, int columns, ReadOnlySpan<KernelArgument> rest)
    {
        var arguments = new KernelArgument[2 * views.Length + 2 + rest.Length];
        for (var i = 0; i < views.Length; i++) (arguments[2 * i], arguments[2 * i + 1]) = (Pointer(views[i]), views[i].Stride);
        (arguments[2 * views.Length], arguments[2 * views.Length + 1]) = (rows, columns);
        rest.CopyTo(arguments.AsSpan(2 * views.Length + 2));
        return arguments;
    }
}
