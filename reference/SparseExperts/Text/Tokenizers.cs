using System.Globalization;
using System.Text;
using SparseExperts.Data;
using SparseExperts.Formats;

namespace SparseExperts.Text;

/// <summary>Tokenizers by their files.</summary>
public static class Tokenizers
{
    /// <summary>Larger files are no tokenizers.</summary>
    const long LargestFile = 1 << 28;

    /// <summary>The usual names in a model's folder, in the order in which they are looked for.</summary>
    static readonly string[] Names = ["tokenizer.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"];

    /// <summary>
    /// Reads a file, or the one of a folder that has a usual name: <c>tokenizer.json</c> of Hugging Face (BPE, unigram) or a <c>.model</c> of SentencePiece.
    /// The content says which. All of it is own code: Microsoft.ML.Tokenizers 2.0.1 refuses a unigram model of T5's kind, has no ignore_merges and no template,
    /// and counts places in UTF-16.
    /// </summary>
    /// <exception cref="DataException">One line: the file, what is wrong with it or unsupported.</exception>
    public static ITokenizer Load(string path) => Parse(path, ReadFile(path, out var file), file);

    /// <summary>A tokenizer from the bytes of its file; <paramref name="name"/> is what errors say.</summary>
    public static ITokenizer Parse(string name, byte[] bytes) => Parse(name, bytes, name);

    static ITokenizer Parse(string path, byte[] bytes, string file)
    {
        try
        {
            var start = Start(bytes);
            if (start == bytes.Length) throw new DataException("the file is empty");
            if (IsTiktoken(bytes)) throw new DataException("ranks of tiktoken are unsupported") { IsUnsupported = true };
            return IsJson(bytes) ? TokenizerJson.Read(bytes.AsMemory(start)) : new SentencePieceTokenizer(SentencePieceFile.Read(bytes));
        }
        catch (DataException e)
        {
            var why = e.Message.ReplaceLineEndings(" ");
            throw new DataException($"{file}: cannot be used as a tokenizer: {why}", "tokenizer") { IsUnsupported = e.IsUnsupported };
        }
    }

    /// <summary>Whether a file is a <c>tokenizer.json</c>, or else a <c>.model</c>.</summary>
    public static bool IsJson(ReadOnlySpan<byte> bytes) => Start(bytes) < bytes.Length && bytes[Start(bytes)] == '{';

    /// <summary>Whether the first line is a token in base64 and its rank.</summary>
    static bool IsTiktoken(ReadOnlySpan<byte> bytes)
    {
        const int longest = 200;
        var line = Encoding.Latin1.GetString(bytes[..Math.Min(bytes.Length, longest)]).Split('\n')[0].TrimEnd('\r');
        return line.Split(' ') is [{ Length: > 0 } token, var rank] && Convert.TryFromBase64String(token, new byte[longest], out _)
            && int.TryParse(rank, NumberStyles.None, CultureInfo.InvariantCulture, out _);
    }

    /// <summary>Bytes before the first that is no white space and no mark of the order of bytes.</summary>
    static int Start(ReadOnlySpan<byte> bytes)
    {
        var mark = bytes.StartsWith("\uFEFF"u8) ? 3 : 0;
        return bytes.Length - bytes[mark..].TrimStart(" \t\r\n"u8).Length;
    }

    /// <summary>The bytes of the tokenizer's file; a folder is asked for one of the usual names.</summary>
    public static byte[] ReadFile(string path, out string file)
    {
        file = path;
        try
        {
            if (Directory.Exists(path))
                file = Names.Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists)
                    ?? throw new DataException($"{path}: holds no tokenizer ({string.Join(", ", Names)}); name its file", "tokenizer");
            RegularFiles.Require(file);
            if (new FileInfo(file) is { Exists: true, Length: > LargestFile } large)
                throw new DataException($"{file}: {large.Length} bytes are more than a tokenizer's; name a smaller file", "tokenizer");
            return RegularFiles.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var why = FileTrouble.Why(e);
            throw new DataException($"{path}: cannot be read ({why}); name a tokenizer.json, a SentencePiece model or a folder with one", "tokenizer");
        }
    }
}
