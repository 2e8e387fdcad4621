using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// The ids that a text-to-text model knows besides the pieces of texts, as T5 has them: padding, the end of a text, what its decoder starts with, and
/// sentinels, which are the last of the vocabulary: sentinel k is <see cref="Vocabulary"/> − 1 − k.
/// </summary>
/// <param name="Vocabulary">Ids in all, sentinels included. The embedding of a model may have more.</param>
public sealed record TextToTextIds(int Vocabulary, int Padding, int End, int Sentinels)
{
    /// <summary>Sentinels of T5.</summary>
    public const int UsualSentinels = 100;

    /// <summary>T5 starts its decoder with padding.</summary>
    public int Start => Padding;

    /// <summary>Bytes 0–255, then padding, the end, and sentinels.</summary>
    public static TextToTextIds Bytes { get; } = new(256 + 2 + UsualSentinels, 256, 257, UsualSentinels);

    /// <exception cref="DataException">Spans need more sentinels than there are.</exception>
    public void Require(int spans)
    {
        if (spans > Sentinels) throw new DataException($"{spans} spans in a sequence, and {Sentinels} sentinels; shorten the sequences or lengthen the spans");
    }
}
