using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace SparseExperts.Formats;

/// <summary>A tensor to be written, and who writes its bytes.</summary>
public sealed record StoredTensor(string Name, string DType, long[] Shape, Action<Stream> Write);

/// <summary>Writes safetensors files. Equal contents give equal bytes: names keep their order, metadata are sorted.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes float32 tensors, or leaves an earlier file as it was.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata,
        IEnumerable<(string Name, long[] Shape, ReadOnlyMemory<float> Data)> tensors)
    {
        Part Of((string Name, long[] Shape, ReadOnlyMemory<float> Data) t) =>
            new(t.Name, "F32", t.Shape, t.Data.Length, 4, (i, bytes) => BinaryPrimitives.WriteSingleLittleEndian(bytes, t.Data.Span[i]));
        Write(path, metadata, [.. tensors.Select(Of)]);
    }

    /// <summary>Writes tensors of any format that <see cref="NumberBytes"/> knows, or leaves an earlier file as it was. Numbers are rounded once.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata,
        IEnumerable<(string Name, string DType, long[] Shape, double[] Values)> tensors)
    {
        Part Of((string Name, string DType, long[] Shape, double[] Values) t) =>
            new(t.Name, t.DType, t.Shape, t.Values.Length, NumberBytes.Size(t.DType), (i, bytes) => NumberBytes.Write(t.DType, t.Values[i], bytes));
        Write(path, metadata, [.. tensors.Select(Of)]);
    }

    /// <summary>Writes tensors whose bytes come one after the other from elsewhere, or leaves an earlier file as it was.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IReadOnlyList<StoredTensor> tensors) =>
        Write(path, Header(metadata, tensors.Select(t => (t.Name, t.DType, t.Shape, SafetensorsHeader.SizeOf(t.DType)))), tensors);

    /// <summary>Writes a file that begins with a header as it stands; its tensors in the order of their data.</summary>
    public static void Write(string path, byte[] header, IReadOnlyList<StoredTensor> tensors) => AtomicFile.Write(path, stream =>
    {
        Begin(stream, header);
        foreach (var tensor in tensors)
        {
            var end = stream.Position + tensor.Shape.Aggregate((long)SafetensorsHeader.SizeOf(tensor.DType), (a, b) => a * b);
            tensor.Write(stream);
            if (stream.Position != end)
                throw new InvalidOperationException($"tensor '{tensor.Name}': {stream.Position - end} bytes more than its shape has were written");
        }
    });

    delegate void Element(int index, Span<byte> bytes);

    sealed record Part(string Name, string DType, long[] Shape, int Count, int Size, Element Write);

    static void Write(string path, IReadOnlyDictionary<string, string> metadata, Part[] parts)
    {
        if (parts.FirstOrDefault(p => p.Shape.Aggregate(1L, (a, b) => a * b) != p.Count) is { } wrong)
            throw new ArgumentException($"tensor '{wrong.Name}': shape [{string.Join(", ", wrong.Shape)}] for {wrong.Count} values; make them agree");
        var header = Header(metadata, parts.Select(p => (p.Name, p.DType, p.Shape, p.Size)));
        AtomicFile.Write(path, stream =>
        {
            Begin(stream, header);
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

    static void Begin(Stream stream, byte[] header)
    {
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
    }

    static byte[] Header(IReadOnlyDictionary<string, string> metadata, IEnumerable<(string Name, string DType, long[] Shape, int Size)> parts)
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
                json.WriteStartObject(part.Name);
                json.WriteString("dtype", part.DType);
                json.WriteStartArray("shape");
                foreach (var dimension in part.Shape) json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset = part.Shape.Aggregate((long)part.Size, (a, b) => a * b) + offset);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        memory.Write(Encoding.ASCII.GetBytes(new string(' ', (int)((8 - memory.Length % 8) % 8))));      // data stay aligned
        return memory.ToArray();
    }
}
