using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;

namespace SparseExperts.Formats;

/// <summary>
/// Reads the archives of <c>numpy.savez</c>: a zip of .npy arrays, each a magic number, a header that is a Python literal
/// {'descr', 'fortran_order', 'shape'}, and the numbers (numpy.lib.format, "Format Version 1.0"). Pickled objects are refused, never run; what
/// is compressed may not unpack to more than a small multiple of the file.
/// </summary>
public static partial class NpzFile
{
    /// <summary>Compressed arrays may be this many times as large as the file, or this many bytes.</summary>
    const long MaxRatio = 8, SmallEnough = 16 << 20;

    /// <summary>An array: numbers, row-major, or one text.</summary>
    public sealed record Entry(string Name, string DType, long[] Shape, double[] Values, string? Text);

    public static bool IsZip(string path)
    {
        using var stream = RegularFiles.Open(path);
        Span<byte> start = stackalloc byte[4];
        return stream.ReadAtLeast(start, 4, throwOnEndOfStream: false) == 4 && start.SequenceEqual("PK\x03\x04"u8);
    }

    /// <summary>All arrays, in the order of the archive.</summary>
    /// <param name="skips">Names that are not read.</param>
    public static IReadOnlyList<Entry> Read(string path, Func<string, bool>? skips = null)
    {
        try
        {
            using var stream = RegularFiles.Open(path);
            using var zip = new ZipArchive(stream, ZipArchiveMode.Read);
            var room = Math.Max(SmallEnough, MaxRatio * stream.Length);
            var entries = new List<Entry>();
            var seen = new HashSet<string>(StringComparer.Ordinal);
            foreach (var item in zip.Entries)
            {
                if (!item.FullName.EndsWith(".npy", StringComparison.Ordinal)) throw Wrong(path, $"'{Show(item.FullName)}' in it is no .npy array");
                var name = item.FullName[..^4];
                if (!seen.Add(name)) throw Wrong(path, $"'{Show(name)}' is in it twice");
                if (skips?.Invoke(name) == true) continue;
                if ((room -= item.Length) < 0) throw Wrong(path, $"it unpacks to more than {MaxRatio} times its size; write it with numpy.savez, uncompressed");
                entries.Add(Array(path, name, Bytes(path, name, item)));
            }
            return entries;
        }
        catch (InvalidDataException)
        {
            throw Wrong(path, "it is no readable zip archive");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidFileException($"{path}: cannot be read ({FileTrouble.Why(e)}); name an .npz file");
        }
    }

    /// <summary>The bytes of an item: as many as it claims, no more.</summary>
    static byte[] Bytes(string path, string name, ZipArchiveEntry item)
    {
        if (item.Length > System.Array.MaxLength) throw Wrong(path, $"'{Show(name)}' has {item.Length} bytes, more than fit in one array");
        using var source = item.Open();
        var bytes = new byte[item.Length];
        var read = source.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        if (read != bytes.Length || source.ReadByte() >= 0) throw Wrong(path, $"'{Show(name)}' is not as long as the archive says");
        if (Crc32(bytes) != item.Crc32) throw Wrong(path, $"the checksum of '{Show(name)}' is wrong");
        return bytes;
    }

    /// <summary>The zip format's checksum of bytes (ISO 3309), which the library's archive reader does not compare.</summary>
    static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = ~0u;
        foreach (var b in bytes) crc = s_crc[(byte)(crc ^ b)] ^ crc >> 8;
        return ~crc;
    }

    static readonly uint[] s_crc = [.. Enumerable.Range(0, 256).Select(i =>
    {
        var crc = (uint)i;
        for (var bit = 0; bit < 8; bit++) crc = (crc & 1) == 0 ? crc >> 1 : crc >> 1 ^ 0xEDB88320;
        return crc;
    })];

    static Entry Array(string path, string name, byte[] bytes)
    {
        if (bytes.Length < 10 || bytes[0] != 0x93 || !bytes.AsSpan(1, 5).SequenceEqual("NUMPY"u8)) throw Wrong(path, $"'{Show(name)}' is no .npy array");
        var wide = bytes[6] >= 2;
        if (bytes[6] is < 1 or > 3 || wide && bytes.Length < 12) throw Wrong(path, $"'{Show(name)}' is of .npy version {bytes[6]}");
        var start = wide ? 12 : 10;
        long length = wide ? BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8)) : BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8));
        if (length > bytes.Length - start) throw Wrong(path, $"the header of '{Show(name)}' claims {length} bytes, there are {bytes.Length - start}");
        var header = HeaderPattern().Match(Encoding.Latin1.GetString(bytes, start, (int)length));
        if (!header.Success) throw Wrong(path, $"the header of '{Show(name)}' is not of numpy's form");
        var shape = new List<long>();
        Int128 count = 1;
        foreach (var part in header.Groups["shape"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!long.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var dimension) || (count *= dimension) > long.MaxValue)
                throw Wrong(path, $"'{Show(name)}' claims a shape that cannot be");
            shape.Add(dimension);
        }
        var (type, size) = Kind(path, name, header.Groups["descr"].Value);
        var data = bytes.AsSpan(start + (int)length);
        if (count * size != data.Length)
        {
            var needed = $"{header.Groups["descr"].Value} [{string.Join(", ", shape)}] needs {count * size}";
            throw Wrong(path, $"'{Show(name)}' has {data.Length} bytes, {needed}");
        }
        if (type == "U")
        {
            if (shape.Count > 0 && count != 1) throw Wrong(path, $"'{Show(name)}' is {count} texts; give one");
            return new(name, type, [.. shape], [], Utf32(path, name, data));
        }
        var values = new double[(int)count];
        for (var i = 0; i < values.Length; i++) values[i] = Number(type, data[(i * size)..]);
        return new(name, type, [.. shape], header.Groups["order"].Value == "True" ? RowMajor(values, shape) : values, null);
    }

    /// <summary>numpy's descr as the dtype of safetensors, and its bytes.</summary>
    static (string Type, int Size) Kind(string path, string name, string descr) => descr switch
    {
        _ when NumpyTypes.DType(descr) is { } dtype => (dtype, SafetensorsHeader.SizeOf(dtype)),
        _ when TextLength(descr) is { } length => ("U", 4 * length),
        _ when descr.Contains('O', StringComparison.Ordinal) =>
            throw Wrong(path, $"'{Show(name)}' holds pickled objects, which are never run; give numbers or one text"),
        _ => throw Wrong(path,
            $"'{Show(name)}' is of numpy type {Show(descr)}; give little-endian floats, integers or booleans (bfloat16 as float32, named in meta.dtypes)"),
    };

    /// <summary>Characters of a text in UTF-32, or null where the descr says something else.</summary>
    static int? TextLength(string descr) =>
        descr.StartsWith("<U", StringComparison.Ordinal)
        && int.TryParse(descr.AsSpan(2), NumberStyles.None, CultureInfo.InvariantCulture, out var length) && length < 1 << 28 ? length : null;

    static double Number(string type, ReadOnlySpan<byte> bytes) => type switch
    {
        "F64" => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        "F32" => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        "F16" => (double)BinaryPrimitives.ReadHalfLittleEndian(bytes),
        "I64" => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        "U64" => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        "I32" => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        "U32" => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        "I16" => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        "U16" => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        "I8" => (sbyte)bytes[0],
        "U8" or "BOOL" => bytes[0],
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no type of numbers"),
    };

    static string Utf32(string path, string name, ReadOnlySpan<byte> data)
    {
        try
        {
            return new UTF32Encoding(bigEndian: false, byteOrderMark: false, throwOnInvalidCharacters: true).GetString(data).TrimEnd('\0');
        }
        catch (DecoderFallbackException)
        {
            throw Wrong(path, $"'{Show(name)}' is not Unicode");
        }
    }

    /// <summary>From the first index running fastest to the last.</summary>
    static double[] RowMajor(double[] values, List<long> shape)
    {
        var result = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            // i in the order of the file, with the first index the fastest.
            long rest = i, to = 0;
            var stride = (long)values.Length;
            foreach (var size in shape)
            {
                stride /= size;
                (rest, var place) = Math.DivRem(rest, size);
                to += place * stride;
            }
            result[to] = values[i];
        }
        return result;
    }

    const string Descr = @"'descr'\s*:\s*'(?<descr>[^'\\]{1,20})'";
    const string Order = @"'fortran_order'\s*:\s*(?<order>True|False)";
    const string Shape = @"'shape'\s*:\s*\((?<shape>[0-9, ]{0,400})\)";

    [GeneratedRegex(@"^\{\s*" + Descr + @"\s*,\s*" + Order + @"\s*,\s*" + Shape + @"\s*,?\s*\}\s*$", RegexOptions.CultureInvariant)]
    private static partial Regex HeaderPattern();

    static string Show(string name) => string.Concat(name.Take(80).Select(c => char.IsControl(c) ? '?' : c));

    static InvalidFileException Wrong(string path, string what) => new($"{path}: {what}; the file is damaged or not from numpy.savez, write it again");
}
