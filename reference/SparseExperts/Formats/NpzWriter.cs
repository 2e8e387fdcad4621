using System.IO.Compression;
using System.Text;

namespace SparseExperts.Formats;

/// <summary>
/// Writes archives that <c>numpy.load</c> and <see cref="NpzFile"/> read, as <c>numpy.savez</c> would: arrays, and texts as 0-d unicode arrays.
/// </summary>
public static class NpzWriter
{
    static readonly DateTimeOffset Epoch = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// Writes everything, or leaves an earlier file as it was. Equal contents give equal bytes. numpy has no bfloat16: such numbers are not for it.
    /// </summary>
    public static void Write(string path, IEnumerable<(string Name, string Text)> texts,
        IEnumerable<(string Name, string DType, long[] Shape, double[] Values)> tensors) => AtomicFile.Write(path, stream =>
    {
        using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
        foreach (var (name, text) in texts)
        {
            // numpy's unicode is UTF-32; an empty text still has one place.
            var bytes = new UTF32Encoding(bigEndian: false, byteOrderMark: false).GetBytes(text.Length > 0 ? text : "\0");
            Add(zip, name, $"<U{bytes.Length / 4}", [], item => item.Write(bytes));
        }
        foreach (var (name, dtype, shape, values) in tensors)
        {
            var size = NumberBytes.Size(dtype);
            Add(zip, name, NumpyTypes.Descr(dtype), shape, item =>
            {
                var buffer = new byte[1 << 16];
                for (int start = 0, piece = buffer.Length / size; start < values.Length; start += piece)
                {
                    var count = Math.Min(piece, values.Length - start);
                    for (var i = 0; i < count; i++) NumberBytes.Write(dtype, values[start + i], buffer.AsSpan(i * size, size));
                    item.Write(buffer, 0, count * size);
                }
            });
        }
    });

    static void Add(ZipArchive zip, string name, string descr, long[] shape, Action<Stream> write)
    {
        var entry = zip.CreateEntry(name + ".npy", CompressionLevel.NoCompression);
        entry.LastWriteTime = Epoch;
        using var item = entry.Open();
        var tuple = shape.Length == 1 ? $"({shape[0]},)" : $"({string.Join(", ", shape)})";
        var header = $"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}";
        var padding = (64 - (10 + header.Length + 1) % 64) % 64;                                         // data start at a multiple of 64
        var length = header.Length + padding + 1;
        item.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)length, (byte)(length >> 8), .. Encoding.ASCII.GetBytes(header + new string(' ', padding) + "\n")]);
        write(item);
    }
}
