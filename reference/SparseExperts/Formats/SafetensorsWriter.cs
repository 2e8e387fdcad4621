using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace SparseExperts.Formats;

/// <summary>Writes safetensors files of float32 tensors. Equal contents give equal bytes: names keep their order, metadata are sorted.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes all tensors, or leaves an earlier file as it was.</summary>
    public static void Write(string path, IReadOnlyDictionary<string, string> metadata, IEnumerable<(string Name, long[] Shape, ReadOnlyMemory<float> Data)> tensors)
    {
        var all = tensors.ToArray();
        var header = Header(metadata, all);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            var buffer = new byte[1 << 16];
            foreach (var (_, _, data) in all)
                for (var start = 0; start < data.Length; start += buffer.Length / 4)
                {
                    var part = data.Span[start..Math.Min(data.Length, start + buffer.Length / 4)];
                    for (var i = 0; i < part.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(buffer.AsSpan(i * 4), part[i]);
                    stream.Write(buffer, 0, part.Length * 4);
                }
        });
    }

    static byte[] Header(IReadOnlyDictionary<string, string> metadata, (string Name, long[] Shape, ReadOnlyMemory<float> Data)[] tensors)
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory))
        {
            json.WriteStartObject();
            json.WriteStartObject("__metadata__");
            foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal)) json.WriteString(key, value);
            json.WriteEndObject();
            long offset = 0;
            foreach (var (name, shape, data) in tensors)
            {
                if (shape.Aggregate(1L, (a, b) => a * b) != data.Length) throw new ArgumentException($"tensor '{name}': shape [{string.Join(", ", shape)}] for {data.Length} values; make them agree");
                json.WriteStartObject(name);
                json.WriteString("dtype", "F32");
                json.WriteStartArray("shape");
                foreach (var dimension in shape) json.WriteNumberValue(dimension);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(offset += data.Length * 4L);
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        memory.Write(Encoding.ASCII.GetBytes(new string(' ', (int)((8 - memory.Length % 8) % 8))));      // data stay aligned
        return memory.ToArray();
    }
}
