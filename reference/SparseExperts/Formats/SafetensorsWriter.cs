using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace SparseExperts.Formats;

/// <summary>Writes safetensors files. Equal contents give equal bytes: names keep their order, metadata are sorted.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes float32 tensors, or leaves an earlier file as it was.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IEnumerable<(string Name, long[] Shape, ReadOnlyMemory<float> Data)> tensors) =>
        Write(path, metadata, [.. tensors.Select(t => new Part(t.Name, "F32", t.Shape, t.Data.Length, 4, (i, bytes) => BinaryPrimitives.WriteSingleLittleEndian(bytes, t.Data.Span[i])))]);

    /// <summary>Writes tensors of any format that <see cref="NumberBytes"/> knows, or leaves an earlier file as it was. Numbers are rounded once.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IEnumerable<(string Name, string DType, long[] Shape, double[] Values)> tensors) =>
        Write(path, metadata, [.. tensors.Select(t => new Part(t.Name, t.DType, t.Shape, t.Values.Length, NumberBytes.Size(t.DType), (i, bytes) => NumberBytes.Write(t.DType, t.Values[i], bytes)))]);

    delegate void Element(int index, Span<byte> bytes);

    sealed record Part(string Name, string DType, long[] Shape, int Count, int Size, Element Write);

    static void Write(string path, IReadOnlyDictionary<string, string> metadata, Part[] parts)
    {
        var header = Header(metadata, parts);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            var buffer = new byte[1 << 16];
            foreach (var part in parts)
                for (int start = 0, piece = buffer.Length / part.Size; start < part.Count; start += piece)
                {
                    var count = Math.Min(piece, part.Count - start);
                    for (var i = 0; i < count; i++) part.Write(start + i, buffer.AsSpan(i * part.Size, part.Size));
                    stream.Write(buffer, 0, count * part.Size);
                }
        });
    }

    static byte[] Header(IReadOnlyDictionary<string, string> metadata, Part[] parts)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal)) json.WriteString(key, value);
            json.WriteEndObject();
            long offset = 0;
            foreach (var part in parts)
            {
                if (part.Shape.Aggregate(1L, (a, b) => a * b) != part.Count) throw new ArgumentException($"tensor '{part.Name}': shape [{string.Join(", ", part.Shape)}] for {part.Count} values; make them agree");
                json.WriteStartObject(part.Name);
                json.WriteString("dtype", part.DType);
                json.WriteStartArray("shape");
                foreach (var dimension in part.Shape) json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += (long)part.Count * part.Size);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        memory.Write(Encoding.ASCII.GetBytes(new string(' ', (int)((8 - memory.Length % 8) % 8))));      // data stay aligned
        return memory.ToArray();
    }
}
