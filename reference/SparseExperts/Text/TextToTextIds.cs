using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// The ids that a text-to-text model knows besides the pieces of texts, as T5 has them: padding, the end of a text, what its decoder starts with, and
/// sentinels, which are the last of the vocabulary: sentinel k is <see cref="Vocabulary"/> − 1 − k.
/// </summary>
/// <param name="Vocabulary">One more than sentinel 0. The embedding of a model may have more.</param>
public sealed record TextToTextIds(int Vocabulary, int Padding, int End, int Sentinels)
{
    /// <summary>Sentinels of T5.</summary>
    public const int UsualSentinels = 100;

    /// <summary>T5 starts its decoder with padding.</summary>
    public int Start => Padding;

    /// <summary>Bytes 0–255, then padding, the end, and sentinels.</summary>
    public static TextToTextIds Bytes { get; } = Of(new ByteTokenizer());

    /// <summary>
    /// The tokenizer's own <c>&lt;pad&gt;</c>, end and <c>&lt;extra_id_0&gt;</c>; what it lacks comes behind its vocabulary, in this order, so that a
    /// SentencePiece model of T5 has the ids of T5.
    /// </summary>
    public static TextToTextIds Of(ITokenizer tokenizer)
    {
        var next = tokenizer.Vocabulary;
        var padding = tokenizer.Find("<pad>") ?? next++;
        var end = tokenizer.End ?? next++;
        if (tokenizer.Find("<extra_id_0>") is not { } first) return new(next + UsualSentinels, padding, end, UsualSentinels);
        var count = 1;
        while (tokenizer.Find($"<extra_id_{count}>") == first - count) count++;
        return new(first + 1, padding, end, count);
    }

    /// <exception cref="DataException">Spans need more sentinels than there are.</exception>
    public void Require(int spans)
    {
        if (spans > Sentinels) throw new DataException($"{spans} spans in a sequence, and {Sentinels} sentinels; shorten the sequences or lengthen the spans");
    }
}
