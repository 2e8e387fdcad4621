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
        Kept = new(file, Convert.ToHexStringLower(SHA256.HashData(bytes)));
    }

    public ITokenizer Tokenizer { get; }
    public TokenizerFile Kept { get; }

    /// <summary>A new run's, from a file or a folder of somebody's.</summary>
    /// <exception cref="DataException">It cannot be read or used; one line.</exception>
    public static RunTokenizer Load(string path)
    {
        var bytes = Tokenizers.ReadFile(path, out var file);
        return new(Tokenizers.Parse(file, bytes), bytes, Tokenizers.IsJson(bytes) ? JsonName : ModelName);
    }

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
        var opened = In(folder, kept.File);
        if (opened.Kept.Hash == kept.Hash) return opened;
        var path = Path.Combine(folder, kept.File);
        throw new RunException($"{path}: is not the tokenizer that the run began with (SHA-256 differs); put the old file back");
    }

    /// <summary>What a run that began here calls its copy.</summary>
    internal static IReadOnlyList<string> Names => [JsonName, ModelName];

    /// <summary>Keeps a copy in a run's folder.</summary>
    public void Write(string folder)
    {
        var path = Path.Combine(folder, Kept.File);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        AtomicFile.Write(path, stream => stream.Write(_bytes));
    }
}
