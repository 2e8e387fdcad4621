using System.Security.Cryptography;
using SparseExperts.Formats;

namespace SparseExperts.Data;

/// <summary>
/// A text as bytes, whatever its encoding. The last 5 % are held out. Which bytes a training step sees depends on seed and step alone.
/// </summary>
public sealed class ByteText
{
    readonly byte[] _bytes;

    ByteText(string path, byte[] bytes)
    {
        (Path, _bytes) = (path, bytes);
        TrainLength = (int)(bytes.LongLength * 95 / 100);
        Hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    /// <summary>No text.</summary>
    public static ByteText None { get; } = new("", []);

    public string Path { get; }
    public int Length => _bytes.Length;

    /// <summary>Bytes before the held-out part.</summary>
    public int TrainLength { get; }
    public string Hash { get; }

    public ReadOnlySpan<byte> HeldOut => _bytes.AsSpan(TrainLength);
    public ReadOnlySpan<byte> Train => _bytes.AsSpan(0, TrainLength);

    /// <summary>A file, or all files of a folder (those named *.txt if there are any) in ordinal order of their paths.</summary>
    public static ByteText Load(string path, int context)
    {
        byte[] bytes;
        try
        {
            bytes = Directory.Exists(path) ? Folder(path) : RegularFiles.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataException($"{path}: cannot be read ({FileTrouble.Why(e)}); name a text file or a folder of texts");
        }
        return FromBytes(path, bytes, context);
    }

    /// <param name="context">Bytes a sequence; 0 where the text is read otherwise, and may have any length.</param>
    public static ByteText FromBytes(string path, byte[] bytes, int context)
    {
        if (context == 0) return new(path, bytes);
        if (bytes.Length == 0) throw new DataException($"{path}: the text is empty; name a text of at least {Needed(context)} bytes");
        var text = new ByteText(path, bytes);
        if (text.TrainLength < context + 1 || text.HeldOut.Length < 2)
        {
            var remedy = $"name a text of at least {Needed(context)} bytes";
            throw new DataException($"{path}: {bytes.Length} bytes are too few for sequences of {context}; {remedy}", "text", "context");
        }
        return text;
    }

    static int Needed(int context) => Math.Max(40, (int)Math.Ceiling((context + 1) / 0.95) + 1);

    static byte[] Folder(string path)
    {
        var files = RegularFiles.Below(path);
        var texts = files.Where(f => f.EndsWith(".txt", StringComparison.OrdinalIgnoreCase)).ToArray();
        using var all = new MemoryStream();
        foreach (var file in texts.Length > 0 ? texts : files)
        {
            if (new FileInfo(file) is { LinkTarget: { } target } link && link.ResolveLinkTarget(true) is not { Exists: true })
                throw new IOException($"the link {System.IO.Path.GetRelativePath(path, file)} leads to {target}, which is not there");
            var bytes = File.ReadAllBytes(file);
            if (all.Length + bytes.LongLength > Array.MaxLength) throw new IOException("its texts together are more than fit in one array");
            all.Write(bytes);
        }
        return all.ToArray();
    }

    /// <summary>
    /// Inputs and labels of one step: <paramref name="batch"/> windows at uniform places, each label the byte after its input.
    /// </summary>
    /// <param name="tasks">The part of the text, of <paramref name="parts"/> equal ones, that each window begins in; may be empty.</param>
    public void Sample(ulong seed, long step, int batch, int context, Span<int> inputs, Span<int> labels, Span<int> tasks = default, int parts = 1)
    {
        var stream = new Streams(seed).At(0, 0, RandomUse.Data);
        for (var b = 0; b < batch; b++)
        {
            var start = (int)(Philox.UniformDouble(stream, (ulong)(step * batch + b)) * (TrainLength - context));
            Window(_bytes.AsSpan(start), context, inputs[(b * context)..], labels[(b * context)..]);
            if (tasks.Length > 0) tasks[b] = (int)((long)start * parts / TrainLength);
        }
    }

    /// <summary>Copies one window: inputs, and labels shifted by one.</summary>
    public static void Window(ReadOnlySpan<byte> bytes, int length, Span<int> inputs, Span<int> labels)
    {
        for (var i = 0; i < length; i++) (inputs[i], labels[i]) = (bytes[i], bytes[i + 1]);
    }
}

/// <summary>Data that cannot be used; one line with the file, the reason and the remedy.</summary>
public sealed class DataException(string message, params string[] settings) : Exception(message), INamesSettings
{
    public IReadOnlyList<string> Settings { get; } = settings;

    /// <summary>Whether nothing is wrong with the data, but this program does not know their kind.</summary>
    public bool IsUnsupported { get; init; }
}
