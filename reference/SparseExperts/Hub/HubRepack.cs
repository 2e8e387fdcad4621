using System.Runtime.InteropServices;
using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>
/// From the hub's files to the model's own file and back, matrix by matrix, so that one is in memory at a time. Numbers keep their format and their bits;
/// where formats differ they are rounded once.
/// </summary>
public static class HubRepack
{
    /// <summary>A matrix of the model as a tensor of its own file [stack·rows, columns], in the format that it is stored in.</summary>
    public static StoredTensor ToOwn(HubFolder folder, HubMatrix matrix)
    {
        var dtypes = matrix.Sources.Select(s => folder.Stored(s.Tensor.Name).Entry.DType).Distinct().ToArray();
        // What differs from expert to expert fits in float32 without rounding.
        var dtype = dtypes.Length == 1 ? dtypes[0] : "F32";
        return new(matrix.Path, dtype, matrix.Shape, stream =>
        {
            var count = matrix.Rows * matrix.Columns;
            for (var m = 0; m < matrix.Stack; m++)
            {
                var (tensor, piece, first) = matrix.SourceOf(m);
                var source = folder.Stored(tensor.Name);
                var span = piece.Span(matrix.Rows, matrix.Columns);
                if (source.Entry.DType != dtype) Rounded();
                else if (SafetensorsHeader.SizeOf(dtype) == 2) Bits<ushort>();
                else Bits<uint>();

                void Bits<T>() where T : unmanaged
                {
                    var stored = new T[span];
                    source.ReadBytes(first, MemoryMarshal.AsBytes(stored.AsSpan()));
                    var values = new T[count];
                    piece.Gather<T>(stored, matrix.Rows, matrix.Columns, values);
                    stream.Write(MemoryMarshal.AsBytes<T>(values));
                }

                void Rounded()
                {
                    var stored = new float[span];
                    source.ReadFloats(first, stored);
                    var values = new float[count];
                    piece.Gather<float>(stored, matrix.Rows, matrix.Columns, values);
                    Write(stream, dtype, values);
                }
            }
        });
    }

    /// <summary>A tensor of the hub in a format, from the model's own file.</summary>
    /// <param name="own">Tensors [stack·rows, columns] by their paths.</param>
    public static StoredTensor ToHub(HubTensors tensors, HubTensor tensor, string dtype, SafetensorsFile own)
    {
        var entries = own.Tensors.Where(t => tensor.Pieces.Any(p => p.Own == t.Name)).ToDictionary(t => t.Name);
        var same = entries.Values.All(e => e.DType == dtype);
        return new(tensor.Name, dtype, [.. tensor.Shape], stream =>
        {
            var all = tensor.Pieces[0];
            for (var m = 0; m < all.Matrices; m++)
                if (!same) Rounded(m);
                else if (SafetensorsHeader.SizeOf(dtype) == 2) Bits<ushort>(m);
                else Bits<uint>(m);

            void Bits<T>(int m) where T : unmanaged
            {
                var stored = new T[all.MatrixStride];
                Fill<T>(m, stored, (name, first, to) => own.ReadBytes(name, first, MemoryMarshal.AsBytes(to)));
                stream.Write(MemoryMarshal.AsBytes<T>(stored));
            }

            void Rounded(int m)
            {
                var stored = new float[all.MatrixStride];
                Fill<float>(m, stored, own.ReadFloats);
                Write(stream, dtype, stored);
            }

            void Fill<T>(int m, Span<T> stored, Reading<T> read)
            {
                foreach (var piece in tensor.Pieces)
                {
                    var matrix = tensors.Matrices[piece.Own];
                    var values = new T[matrix.Rows * matrix.Columns];
                    read(piece.Own, (long)(piece.First + m) * values.Length, values);
                    piece.Scatter<T>(values, matrix.Rows, matrix.Columns, stored[(int)piece.Offset..]);
                }
            }
        });
    }

    delegate void Reading<T>(string name, long first, Span<T> to);

    /// <summary>A tensor as it stands.</summary>
    public static StoredTensor AsIs(SafetensorsFile file, TensorEntry entry) => AsIs(entry, (first, bytes) => file.ReadBytes(entry.Name, first, bytes));

    /// <summary>The same of a checkpoint.</summary>
    public static StoredTensor AsIs(HubStored tensor) => AsIs(tensor.Entry, tensor.ReadBytes);

    delegate void Bytes(long first, Span<byte> bytes);

    static StoredTensor AsIs(TensorEntry entry, Bytes read) => new(entry.Name, entry.DType, entry.Shape, stream =>
    {
        int size = SafetensorsHeader.SizeOf(entry.DType), piece = (1 << 16) / size;
        var bytes = new byte[piece * size];
        for (long at = 0; at < entry.Count; at += piece)
        {
            var part = bytes.AsSpan(0, (int)Math.Min(piece, entry.Count - at) * size);
            read(at, part);
            stream.Write(part);
        }
    });

    static void Write(Stream stream, string dtype, float[] values)
    {
        var size = SafetensorsHeader.SizeOf(dtype);
        var bytes = new byte[values.Length * size];
        for (var i = 0; i < values.Length; i++) NumberBytes.Write(dtype, values[i], bytes.AsSpan(i * size, size));
        stream.Write(bytes);
    }
}
