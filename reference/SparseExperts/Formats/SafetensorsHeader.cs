using System.Text.Json;

namespace SparseExperts.Formats;

/// <summary>A tensor of a file: its bytes are [Begin, End) of the data section.</summary>
public sealed record TensorEntry(string Name, string DType, long[] Shape, long Begin, long End)
{
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);
}

/// <summary>What stands before the data of a safetensors file: names, shapes and places of its tensors.</summary>
/// <param name="Bytes">The JSON text as it stands in the file, padding included.</param>
/// <param name="Tensors">In the order of their data.</param>
public sealed record SafetensorsHeader(byte[] Bytes, IReadOnlyDictionary<string, string> Metadata, IReadOnlyList<TensorEntry> Tensors)
{
    /// <param name="path">The file, for messages.</param>
    /// <param name="dataLength">Bytes that follow, which the tensors must cover; null where they are elsewhere.</param>
    /// <exception cref="InvalidFileException">It is no such header.</exception>
    public static SafetensorsHeader Parse(string path, byte[] header, long? dataLength)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        var tensors = new List<TensorEntry>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        try
        {
            using var document = JsonDocument.Parse(header, new() { MaxDepth = 4 });
            if (document.RootElement.ValueKind != JsonValueKind.Object) throw Wrong(path, "its header is not a JSON object");
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (!seen.Add(property.Name)) throw Wrong(path, $"'{Show(property.Name)}' stands twice in its header");
                if (property.Name != "__metadata__") tensors.Add(Entry(path, property, dataLength ?? long.MaxValue));
                else
                    foreach (var pair in property.Value.EnumerateObject())
                    {
                        if (pair.Value.ValueKind != JsonValueKind.String) throw Wrong(path, $"metadata '{Show(pair.Name)}' is not a string");
                        if (!metadata.TryAdd(pair.Name, pair.Value.GetString()!))
                            throw Wrong(path, $"metadata '{Show(pair.Name)}' stands twice in its header");
                    }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or System.Text.DecoderFallbackException)
        {
            throw Wrong(path, "its header is not valid JSON of the expected form");
        }
        tensors.Sort((a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long end = 0;
        foreach (var tensor in tensors)
        {
            if (tensor.Begin != end) throw Wrong(path, $"tensor '{Show(tensor.Name)}' starts at {tensor.Begin}, the one before ends at {end}");
            end = tensor.End;
        }
        if (dataLength is not null && end != dataLength) throw Wrong(path, $"its tensors cover {end} bytes of {dataLength}");
        return new(header, metadata, tensors);
    }

    static TensorEntry Entry(string path, JsonProperty property, long dataLength)
    {
        var name = Show(property.Name);
        string? dtype = null;
        long[]? shape = null, offsets = null;
        var fields = new HashSet<string>(StringComparer.Ordinal);
        foreach (var field in property.Value.EnumerateObject())
        {
            if (!fields.Add(field.Name)) throw Wrong(path, $"tensor '{name}' has '{Show(field.Name)}' twice");
            switch (field.Name)
            {
                case "dtype": dtype = field.Value.GetString(); break;
                case "shape": shape = Numbers(field.Value); break;
                case "data_offsets": offsets = Numbers(field.Value); break;
                default: throw Wrong(path, $"tensor '{name}' has an unknown field '{Show(field.Name)}'");
            }
        }
        if (dtype is null || shape is null || offsets is not { Length: 2 }) throw Wrong(path, $"tensor '{name}' lacks dtype, shape or two data_offsets");
        var size = SizeOrNull(dtype) ?? throw Wrong(path, $"tensor '{name}' has the unknown dtype '{Show(dtype)}'");
        Int128 bytes = size;
        foreach (var dimension in shape)
            if ((bytes *= dimension) > long.MaxValue) throw Wrong(path, $"tensor '{name}' claims more elements than can be");
        if (offsets[0] > offsets[1] || offsets[1] > dataLength) throw Wrong(path, $"tensor '{name}' claims bytes {offsets[0]}…{offsets[1]} of {dataLength}");
        if (offsets[1] - offsets[0] != bytes)
            throw Wrong(path, $"tensor '{name}' has {offsets[1] - offsets[0]} bytes, {dtype} [{string.Join(", ", shape)}] needs {bytes}");
        return new(property.Name, dtype, shape, offsets[0], offsets[1]);

        long[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(Size)];

        long Size(JsonElement number) =>
            number.TryGetInt64(out var value) && value >= 0 ? value : throw Wrong(path, $"tensor '{name}' has a number that is no size");
    }

    /// <summary>Bytes of one number of a dtype, or null where the format has none of the name.</summary>
    internal static int? SizeOrNull(string dtype) => dtype switch
    {
        "F64" or "I64" or "U64" => 8,
        "F32" or "I32" or "U32" => 4,
        "F16" or "BF16" or "I16" or "U16" => 2,
        "I8" or "U8" or "BOOL" or "F8_E4M3" or "F8_E5M2" => 1,
        _ => null,
    };

    /// <summary>Bytes of one number of a dtype of the format.</summary>
    public static int SizeOf(string dtype) =>
        SizeOrNull(dtype) ?? throw new ArgumentException($"'{dtype}' is no dtype; take one that a file has", nameof(dtype));

    /// <summary>A name from a file, fit for one line of a message.</summary>
    internal static string Show(string name) => string.Concat(name.Take(80).Select(c => char.IsControl(c) ? '?' : c));

    internal static InvalidFileException Wrong(string path, string what) => new($"{path}: {what}; the file is damaged or not safetensors, take another copy");
}
