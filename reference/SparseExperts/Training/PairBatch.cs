using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Training;

/// <summary>What an encoder reads and what a decoder shall write, end tokens included.</summary>
public readonly record struct TextPair(int[] Input, int[] Target);

/// <summary>Pairs of a text-to-text model side by side, as transformers' T5 has them.</summary>
public static class PairBatch
{
    /// <summary>
    /// Inputs are padded to <paramref name="encoder"/> tokens, and <see cref="TokenBatch.Mask"/> says where they are not padding; labels are the targets padded
    /// to <paramref name="decoder"/> with −100; what the decoder reads is the labels one place later behind the start token, padding where −100 stood.
    /// </summary>
    public static TokenBatch Of(IReadOnlyList<TextPair> pairs, TextToTextIds ids, int encoder, int decoder)
    {
        int[] inputs = new int[pairs.Count * encoder], mask = new int[inputs.Length];
        int[] labels = new int[pairs.Count * decoder], read = new int[labels.Length];
        inputs.AsSpan().Fill(ids.Padding);
        labels.AsSpan().Fill(TokenBatch.NoLabel);
        for (var b = 0; b < pairs.Count; b++)
        {
            var (input, target) = pairs[b];
            input.CopyTo(inputs.AsSpan(b * encoder, encoder));
            mask.AsSpan(b * encoder, input.Length).Fill(1);
            target.CopyTo(labels.AsSpan(b * decoder, decoder));
            ShiftedRight(labels.AsSpan(b * decoder, decoder), ids, read.AsSpan(b * decoder, decoder));
        }
        return new(inputs, pairs.Count) { Mask = mask, DecoderIds = read, Labels = labels };
    }

    /// <summary>What a decoder reads to write the labels (transformers: <c>_shift_right</c>).</summary>
    static void ShiftedRight(ReadOnlySpan<int> labels, TextToTextIds ids, Span<int> read)
    {
        read[0] = ids.Start;
        for (var i = 1; i < labels.Length; i++) read[i] = labels[i - 1] == TokenBatch.NoLabel ? ids.Padding : labels[i - 1];
    }
}
