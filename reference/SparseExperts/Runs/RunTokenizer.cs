using System.Security.Cryptography;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Text;

namespace SparseExperts.Runs;

/// <summary>Where a run keeps its tokenizer, below its folder, and the SHA-256 of the file.</summary>
public sealed record TokenizerFile(string File, string Hash);

/// <summary>A tokenizer with its file, of which a run keeps a copy: what it learnt means nothing without.</summary>
public sealed class RunTokenizer
{
    const string JsonName = "tokenizer.json", ModelName = "tokenizer.model";

    readonly byte[] _bytes;

    RunTokenizer(ITokenizer tokenizer, byte[] bytes, string file)
    {
        (Tokenizer, _bytes) = (tokenizer, bytes);
        Kept = new(file, Hash(bytes));
    }

    public ITokenizer Tokenizer { get; }
    public TokenizerFile Kept { get; }

    /// <summary>A new run's, from a file or a folder of somebody's.</summary>
    /// <exception cref="DataException">It cannot be read or used; one line.</exception>
    public static RunTokenizer Load(string path)
    {
        var bytes = Tokenizers.ReadFile(path, out var file);
        return new(Tokenizers.Parse(file, bytes), bytes, OwnName(bytes));
    }

    static string OwnName(byte[] bytes) => Tokenizers.IsJson(bytes) ? JsonName : ModelName;

    /// <summary>Where a run keeps its copy: in what it has of an imported run, where it begins with one, else under a name of its own.</summary>
    internal TokenizerFile KeptBeside(string? from) => from is not null && HubSource.Exists(from) ? Kept : Kept with { File = OwnName(_bytes) };

    /// <summary>The one that stands below a run's folder already.</summary>
    public static RunTokenizer In(string folder, string file)
    {
        var bytes = Tokenizers.ReadFile(Path.Combine(folder, file), out var path);
        return new(Tokenizers.Parse(path, bytes), bytes, file);
    }

    /// <summary>The one that a run was started with.</summary>
    /// <exception cref="RunException">The file is another than it was.</exception>
    public static RunTokenizer Open(string folder, TokenizerFile kept)
    {
        var path = Require(folder, kept);
        // What is another file may be no tokenizer at all.
        if (Hash(Bytes(path)) == kept.Hash) return In(folder, kept.File);
        throw new RunException($"{path}: is not the tokenizer that the run began with (SHA-256 differs); put the old file back");
    }

    /// <summary>The path of the one that a run was started with.</summary>
    /// <exception cref="RunException">It is not there.</exception>
    internal static string Require(string folder, TokenizerFile kept)
    {
        var path = Path.Combine(folder, kept.File);
        return File.Exists(path) ? path : throw new RunException($"{path}: no such file, and the run began with this tokenizer; put it back");
    }

    static byte[] Bytes(string path)
    {
        try
        {
            return RegularFiles.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunException($"{path}: cannot be read ({FileTrouble.Why(e)}), and the run began with this tokenizer; put it back");
        }
    }

    static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>What a run that began here calls its copy.</summary>
    internal static IReadOnlyList<string> Names => [JsonName, ModelName];

    /// <summary>Keeps a copy in a run's folder.</summary>
    public void Write(string folder, TokenizerFile kept)
    {
        var path = Path.Combine(folder, kept.File);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream => stream.Write(_bytes));
    }
}
