using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;

namespace SparseExperts.Formats;

/// <summary>A file that is not what it should be; one line with the file, what is wrong, and the remedy.</summary>
public sealed class InvalidFileException(string message) : Exception(message);

/// <summary>
/// Reads the safetensors format: eight bytes of header length (little-endian), a JSON header {name: {dtype, shape, data_offsets}} with
/// optional strings under <c>__metadata__</c>, then the data, which the tensors must cover without hole or overlap (huggingface/safetensors,
/// README, "Format"). Nothing that a file claims is believed before it is checked, and memory is only taken for what is asked.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    const long MaxHeader = 100_000_000;

    readonly string _path;
    // No stream, which has one position: readers side by side would disturb each other.
    readonly SafeFileHandle _handle;
    readonly long _dataStart;
    readonly Dictionary<string, TensorEntry> _byName = new(StringComparer.Ordinal);

    SafetensorsFile(string path, SafeFileHandle handle, byte[] header)
    {
        (_path, _handle, _dataStart) = (path, handle, 8 + header.Length);
        Header = SafetensorsHeader.Parse(path, header, RandomAccess.GetLength(handle) - _dataStart);
        foreach (var tensor in Tensors) _byName[tensor.Name] = tensor;
    }

    /// <summary>What stands before the data.</summary>
    public SafetensorsHeader Header { get; }

    public IReadOnlyDictionary<string, string> Metadata => Header.Metadata;

    /// <summary>In the order of their data.</summary>
    public IReadOnlyList<TensorEntry> Tensors => Header.Tensors;

    public bool Contains(string name) => _byName.ContainsKey(name);

    public static SafetensorsFile Open(string path)
    {
        SafeFileHandle handle;
        try
        {
            handle = RegularFiles.OpenHandle(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var why = e is not (FileNotFoundException or DirectoryNotFoundException) ? "not a readable file"
                : path.Contains('\uFFFD', StringComparison.Ordinal) ? "its name is not in UTF-8, rename it" : "no such file";
            throw new InvalidFileException($"{path}: cannot be opened ({why}); name a .safetensors file");
        }
        try
        {
            return new(path, handle, HeaderBytes(path, handle));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    static byte[] HeaderBytes(string path, SafeFileHandle handle)
    {
        Span<byte> prefix = stackalloc byte[8];
        var size = RandomAccess.GetLength(handle);
        if (size < 8) throw Wrong(path, $"{size} bytes are too few for a header");
        ReadAt(path, handle, 0, prefix);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > (ulong)(size - 8)) throw Wrong(path, $"its header claims {length} bytes, the file has {size - 8} after the length");
        if (length > MaxHeader) throw Wrong(path, $"its header claims {length} bytes, more than the {MaxHeader} that are sensible");
        var header = new byte[length];
        ReadAt(path, handle, 8, header);
        return header;
    }

    /// <summary>The numbers of a tensor as they are stored, from number <paramref name="first"/> on, as many as fit in the span.</summary>
    public void ReadBytes(string name, long first, Span<byte> bytes)
    {
        var entry = Entry(name);
        var size = SafetensorsHeader.SizeOf(entry.DType);
        if (first < 0 || bytes.Length % size != 0 || first * size + bytes.Length > entry.End - entry.Begin)
            throw new ArgumentOutOfRangeException(nameof(first), first, $"{bytes.Length} bytes from number {first} of '{Show(name)}', which has {entry.Count}");
        ReadAt(_dataStart + entry.Begin + first * size, bytes);
    }

    /// <summary>Numbers of a float tensor, from number <paramref name="first"/> on, as many as fit in the span.</summary>
    public void ReadFloats(string name, long first, Span<float> values)
    {
        var entry = Entry(name);
        RequireDecodable(entry);
        int size = SafetensorsHeader.SizeOf(entry.DType), piece = Piece / size;
        var bytes = new byte[Math.Min(values.Length, piece) * size];
        for (var at = 0; at < values.Length; at += piece)
        {
            var part = values.Slice(at, Math.Min(piece, values.Length - at));
            ReadBytes(name, first + at, bytes.AsSpan(0, part.Length * size));
            Floats(entry.DType, bytes.AsSpan(0, part.Length * size), part);
        }
    }

    /// <summary>All values of a float tensor, rounded to float32 where it is wider.</summary>
    public float[] ReadFloats(string name) => Read<float>(name, Floats);

    /// <summary>All values of a float or integer tensor.</summary>
    public double[] ReadDoubles(string name) => Read<double>(name, Doubles);

    void RequireDecodable(TensorEntry entry)
    {
        if (entry.DType.StartsWith("F8", StringComparison.Ordinal))
            throw Wrong(_path, $"tensor '{Show(entry.Name)}' is {entry.DType}, which this program does not decode");
    }

    TensorEntry Entry(string name) => _byName.TryGetValue(name, out var entry) ? entry : throw Wrong(_path, $"there is no tensor '{Show(name)}'");

    delegate void Decoder<T>(string dtype, ReadOnlySpan<byte> bytes, Span<T> values);

    /// <summary>The numbers of a tensor, decoded piece by piece: the file's bytes are never all in memory beside them.</summary>
    T[] Read<T>(string name, Decoder<T> decode)
    {
        var entry = Entry(name);
        RequireDecodable(entry);
        if (entry.Count > Array.MaxLength) throw Wrong(_path, $"tensor '{Show(name)}' has {entry.Count} numbers, more than fit in one array");
        int size = SafetensorsHeader.SizeOf(entry.DType), piece = Piece / size;
        var values = new T[entry.Count];
        var bytes = new byte[Math.Min(values.Length, piece) * size];
        for (var at = 0; at < values.Length; at += piece)
        {
            var part = values.AsSpan(at, Math.Min(piece, values.Length - at));
            ReadAt(_dataStart + entry.Begin + (long)at * size, bytes.AsSpan(0, part.Length * size));
            decode(entry.DType, bytes.AsSpan(0, part.Length * size), part);
        }
        return values;
    }

    /// <summary>From a place of its own, so that several tensors can be read at once.</summary>
    void ReadAt(long offset, Span<byte> bytes) => ReadAt(_path, _handle, offset, bytes);

    static void ReadAt(string path, SafeFileHandle handle, long offset, Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var count = RandomAccess.Read(handle, bytes, offset);
            if (count == 0) throw Wrong(path, "it has become shorter while it was read");
            offset += count;
            bytes = bytes[count..];
        }
    }

    const int Piece = 1 << 16;

    static void Floats(string dtype, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        if (dtype == "F32")
        {
            for (var i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * 4)..]);
            return;
        }
        var doubles = new double[values.Length];
        Doubles(dtype, bytes, doubles);
        for (var i = 0; i < values.Length; i++) values[i] = (float)doubles[i];
    }

    static float BFloat16(ReadOnlySpan<byte> bytes) => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16);

    static void Doubles(string dtype, ReadOnlySpan<byte> bytes, Span<double> values)
    {
        switch (dtype)
        {
            case "F64": for (var i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadDoubleLittleEndian(bytes[(i * 8)..]); break;
            case "F32": for (var i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * 4)..]); break;
            case "F16": for (var i = 0; i < values.Length; i++) values[i] = (double)BinaryPrimitives.ReadHalfLittleEndian(bytes[(i * 2)..]); break;
            case "BF16": for (var i = 0; i < values.Length; i++) values[i] = BFloat16(bytes[(i * 2)..]); break;
            case "U64": for (var i = 0; i < values.Length; i++) values[i] = BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * 8)..]); break;
            default: for (var i = 0; i < values.Length; i++) values[i] = Integer(dtype, bytes, i); break;
        }
    }

    static long Integer(string dtype, ReadOnlySpan<byte> bytes, int i) => dtype switch
    {
        "I64" => BinaryPrimitives.ReadInt64LittleEndian(bytes[(i * 8)..]),
        "U64" => Signed(BinaryPrimitives.ReadUInt64LittleEndian(bytes[(i * 8)..])),
        "I32" => BinaryPrimitives.ReadInt32LittleEndian(bytes[(i * 4)..]),
        "U32" => BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i * 4)..]),
        "I16" => BinaryPrimitives.ReadInt16LittleEndian(bytes[(i * 2)..]),
        "U16" => BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * 2)..]),
        "I8" => (sbyte)bytes[i],
        "U8" or "BOOL" => bytes[i],
        _ => throw new InvalidFileException($"dtype {dtype} is not read as numbers; convert the tensor to F32, F16 or BF16"),
    };

    static long Signed(ulong value) => value <= long.MaxValue ? (long)value
        : throw new InvalidFileException($"a U64 holds {value}, more than a signed number of 64 bits; write smaller integers");

    static string Show(string name) => SafetensorsHeader.Show(name);

    static InvalidFileException Wrong(string path, string what) => SafetensorsHeader.Wrong(path, what);

    public void Dispose() => _handle.Dispose();
}
