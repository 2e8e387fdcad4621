using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>What a piece of a SentencePiece vocabulary is, by its number in the file.</summary>
enum PieceKind { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 }

/// <summary>One entry of the vocabulary; its id is its place.</summary>
readonly record struct VocabularyPiece(string Text, float Score, PieceKind Kind);

/// <summary>
/// A <c>.model</c> of SentencePiece (sentencepiece_model.proto): pieces, the rules of normalization, and what of the trainer's settings decides how texts are
/// encoded.
/// </summary>
sealed class SentencePieceFile
{
    public const int Unigram = 1, Bpe = 2;

    public List<VocabularyPiece> Pieces { get; } = [];

    /// <summary>1 unigram, 2 BPE.</summary>
    public int ModelType { get; private set; } = Unigram;
    public bool ByteFallback { get; private set; }
    public bool WhitespaceIsSuffix { get; private set; }
    public string UnknownSurface { get; private set; } = " ⁇ ";

    public CharsMap? Map { get; private set; }
    public bool AddsDummyPrefix { get; private set; } = true;
    public bool RemovesExtraWhitespace { get; private set; } = true;
    public bool EscapesWhitespace { get; private set; } = true;

    /// <exception cref="DataException">It is none, or of a kind that is not known here.</exception>
    public static SentencePieceFile Read(ReadOnlySpan<byte> bytes)
    {
        var file = new SentencePieceFile();
        for (var reader = new ProtobufReader(bytes); reader.Next();)
            if (reader.Field == 1) file.Pieces.Add(Piece(reader.Bytes));
            else if (reader.Field == 2) file.ReadTrainer(reader.Bytes);
            else if (reader.Field == 3) file.ReadNormalizer(reader.Bytes);
        if (file.Pieces.Count == 0) throw new DataException("has no pieces, so it is no SentencePiece model");
        if (file.Pieces.Count > TokenizerJson.MostIds) throw new DataException($"{file.Pieces.Count} pieces, at most {TokenizerJson.MostIds}");
        if (file.ModelType is not (Unigram or Bpe))
            throw new DataException($"SentencePiece model type {file.ModelType} is unsupported; unigram and BPE are not") { IsUnsupported = true };
        return file;
    }

    static VocabularyPiece Piece(ReadOnlySpan<byte> message)
    {
        var (text, score, kind) = ("", 0f, (int)PieceKind.Normal);
        for (var reader = new ProtobufReader(message); reader.Next();)
            if (reader.Field == 1) text = Encoding.UTF8.GetString(reader.Bytes);
            else if (reader.Field == 2) score = reader.Single;
            else if (reader.Field == 3) kind = reader.Number;
        if (text.Length == 0) throw new DataException("has a piece without text");
        if (!Enum.IsDefined((PieceKind)kind)) throw new DataException($"piece '{text}' is of the unknown kind {kind}");
        return float.IsFinite(score) ? new(text, score, (PieceKind)kind) : throw new DataException($"piece '{text}' has the score {score}");
    }

    void ReadTrainer(ReadOnlySpan<byte> message)
    {
        for (var reader = new ProtobufReader(message); reader.Next();)
            if (reader.Field == 3) ModelType = reader.Number;
            else if (reader.Field == 24) WhitespaceIsSuffix = reader.Flag;
            else if (reader.Field == 35) ByteFallback = reader.Flag;
            else if (reader.Field == 44) UnknownSurface = Encoding.UTF8.GetString(reader.Bytes);
    }

    void ReadNormalizer(ReadOnlySpan<byte> message)
    {
        for (var reader = new ProtobufReader(message); reader.Next();)
            if (reader.Field == 2 && reader.Bytes.Length > 0) Map = new(reader.Bytes);
            else if (reader.Field == 3) AddsDummyPrefix = reader.Flag;
            else if (reader.Field == 4) RemovesExtraWhitespace = reader.Flag;
            else if (reader.Field == 5) EscapesWhitespace = reader.Flag;
    }
}
