using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Routing;

namespace SparseExperts.Tests.Fuzz;

/// <summary>Changes of case files: of their bytes, of what their header says, and of their numbers.</summary>
static class CaseMutators
{
    /// <summary>Every axis with values that it knows.</summary>
    static readonly (string Name, string Value)[] Axes =
    [
        .. DialectAxis.All.SelectMany(a => a.Names.Count > 0 ? a.Names.Select(n => (a.Name, JsonSerializer.Serialize(n)))
            : ((string[])(a.IsFlag ? ["true", "false"] : ["0", "1", "2", "-1", "0.5", "1e9"])).Select(value => (a.Name, value))),
    ];

    public static byte[] Safetensors(Chance chance, byte[] file)
    {
        if (chance.OneIn(4)) return Mutators.Bytes(chance, file);
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        var (header, data) = (Encoding.UTF8.GetString(file, 8, length), file[(8 + length)..]);
        if (chance.OneIn(2)) header = Mutators.Json(chance, header, Axes);
        else data = Numbers(chance, header, data);
        var text = Encoding.UTF8.GetBytes(header);
        return [.. BitConverter.GetBytes((long)text.Length), .. text, .. data];
    }

    /// <summary>The same file with numbers of other magnitudes in one of its float tensors: in one place, in some, or in all.</summary>
    public static byte[] OtherNumbers(Chance chance, byte[] file)
    {
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        return [.. file[..(8 + length)], .. Numbers(chance, Encoding.UTF8.GetString(file, 8, length), file[(8 + length)..])];
    }

    static byte[] Numbers(Chance chance, string header, byte[] data)
    {
        (string Name, JsonObject About)[] floats = [.. JsonNode.Parse(header)!.AsObject().Where(p => p.Key != "__metadata__")
            .Select(p => (p.Key, p.Value!.AsObject())).Where(t => t.Item2["dtype"]!.GetValue<string>() == "F32")];
        if (floats.Length == 0) return data;
        // What routes is what solvers work on.
        static bool IsOfRouter((string Name, JsonObject About) t) =>
            t.Name.Contains("logits", StringComparison.Ordinal) || t.Name.StartsWith("router.", StringComparison.Ordinal);
        var routing = floats.Where(IsOfRouter).ToArray();
        var offsets = chance.Of(routing.Length > 0 && chance.OneIn(2) ? routing : floats).About["data_offsets"]!.AsArray();
        int begin = offsets[0]!.GetValue<int>(), count = (offsets[1]!.GetValue<int>() - begin) / 4;
        if (count == 0) return data;
        var changed = data.ToArray();
        void Set(int i, double value) => BinaryPrimitives.WriteSingleLittleEndian(changed.AsSpan(begin + 4 * i), (float)value);
        double Get(int i) => BinaryPrimitives.ReadSingleLittleEndian(changed.AsSpan(begin + 4 * i));
        var scale = chance.Number();
        switch (chance.Below(4))
        {
            case 0: Set(chance.Below(count), chance.Number()); break;
            case 1: for (var i = 0; i < count; i++) Set(i, Get(i) * scale); break;
            case 2: for (var i = 0; i < count; i++) Set(i, chance.Number()); break;
            default: for (var n = 1 + chance.Below(8); n > 0; n--) Set(chance.Below(count), chance.Number()); break;
        }
        return changed;
    }

    /// <summary>An archive with a member changed, given twice, or named otherwise, or with changed bytes.</summary>
    public static byte[] Npz(Chance chance, byte[] file)
    {
        if (chance.OneIn(3)) return Mutators.Bytes(chance, file);
        using var source = new ZipArchive(new MemoryStream(file), ZipArchiveMode.Read);
        var members = source.Entries.Select(e => (e.FullName, Bytes: Read(e))).ToList();
        var at = chance.Below(members.Count);
        var (name, bytes) = members[at];
        switch (chance.Below(5))
        {
            case 0: members[at] = (chance.Text() + name, bytes); break;
            case 1: members.Insert(at, (name, bytes)); break;
            case 2: members.RemoveAt(at); break;
            default: members[at] = (name, Mutators.Bytes(chance, bytes)); break;
        }
        var written = new MemoryStream();
        using (var zip = new ZipArchive(written, ZipArchiveMode.Create, leaveOpen: true))
            foreach (var (member, contents) in members)
            {
                using var entry = zip.CreateEntry(member, chance.OneIn(2) ? CompressionLevel.NoCompression : CompressionLevel.Fastest).Open();
                entry.Write(contents);
            }
        return written.ToArray();
    }

    static byte[] Read(ZipArchiveEntry entry)
    {
        using var stream = entry.Open();
        var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
