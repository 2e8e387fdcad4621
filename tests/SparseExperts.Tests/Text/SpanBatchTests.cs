using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Text;

public sealed class SpanBatchTests
{
    static readonly int[] Words = [.. Enumerable.Range(0, 1000).Select(i => i * 7919 % 256)];

    static SpanBatches Batches(ulong seed, int sequences, int inputs = 64) =>
        new(Words, TextToTextIds.Bytes, new SpanCorruption(), inputs, seed, sequences);

    [Theory]
    [InlineData(11, 0.5, 1)]
    [InlineData(31, 0.5, 1)]
    [InlineData(10, 0.9, 1)]
    public void Fewer_tokens_than_spans_are_refused_in_one_line(int length, double density, double mean)
    {
        var e = Assert.Throws<DataException>(() => new SpanCorruption(density, mean).Counts(length));
        Assert.Contains("spans of", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Theory]
    [InlineData(0, 3)]
    [InlineData(1, 3)]
    [InlineData(double.NaN, 3)]
    [InlineData(0.15, 0.5)]
    [InlineData(0.15, double.PositiveInfinity)]
    public void Shares_and_lengths_that_cannot_be_are_refused(double density, double mean) =>
        Assert.Throws<DataException>(() => new SpanCorruption(density, mean).Lengths(100));

    [Fact]
    public void A_density_near_one_ends_in_a_line_and_not_in_a_loop() =>
        Assert.Contains("lower it", Assert.Throws<DataException>(() => new SpanCorruption(1 - 1e-12, 1 << 20).Lengths(100)).Message, StringComparison.Ordinal);

    /// <summary>2.5 of 5 tokens: half to even is 2 in float32, and 0.15·10 = 1.5 is 2 as well.</summary>
    [Theory]
    [InlineData(5, 0.5, 2)]
    [InlineData(7, 0.5, 4)]
    [InlineData(10, 0.15, 2)]
    [InlineData(1, 0.15, 1)]
    public void Noise_is_rounded_half_to_even(int length, double density, int noise) => Assert.Equal(noise, new SpanCorruption(density).Counts(length).Noise);

    [Fact]
    public void Inputs_and_targets_together_are_the_window()
    {
        var batch = Batches(1, 8).Of(3);
        int encoder = batch.Ids.Length / 8, decoder = batch.Labels.Length / 8;
        for (var b = 0; b < 8; b++)
        {
            var joined = Joined(batch.Ids.AsSpan(b * encoder, encoder), batch.Labels.AsSpan(b * decoder, decoder));
            Assert.Equal(Batches(1, 8).Tokens, joined.Length);
            Assert.True(Words.AsSpan().IndexOf(joined) >= 0, "the window is not in the text");
        }
    }

    /// <summary>Puts what follows each sentinel in the target into its place in the input.</summary>
    static int[] Joined(ReadOnlySpan<int> input, ReadOnlySpan<int> target)
    {
        var ids = TextToTextIds.Bytes;
        var joined = new List<int>();
        foreach (var id in input)
            if (id < 256) joined.Add(id);
            else if (id != ids.End && id != ids.Padding)
                for (var i = target.IndexOf(id) + 1; target[i] < 256; i++) joined.Add(target[i]);
        return [.. joined];
    }

    [Fact]
    public void What_a_sequence_is_depends_on_its_place_alone()
    {
        TokenBatch whole = Batches(5, 8).Of(2), halves = Batches(5, 4).Of(4), more = Batches(5, 4).Of(5);
        Assert.Equal(whole.Ids, halves.Ids.Concat(more.Ids));
        Assert.Equal(whole.Labels, halves.Labels.Concat(more.Labels));
        Assert.Equal(whole.DecoderIds, halves.DecoderIds.Concat(more.DecoderIds));
        Assert.NotEqual(whole.Ids, Batches(6, 8).Of(2).Ids);
    }

    [Fact]
    public void Inputs_fit_and_both_sides_end_with_the_end()
    {
        for (var inputs = 8; inputs < 200; inputs++)
        {
            var batch = Batches(1, 2, inputs).Of(0);
            Assert.InRange(batch.Ids.Length / 2, inputs - 1, inputs);
            Assert.Equal(TextToTextIds.Bytes.End, batch.Ids[^1]);
            Assert.Equal(TextToTextIds.Bytes.End, batch.Labels[^1]);
            Assert.Equal(TextToTextIds.Bytes.Start, batch.DecoderIds[0]);
            Assert.Equal(batch.Labels[..(batch.Labels.Length / 2 - 1)], batch.DecoderIds[1..(batch.Labels.Length / 2)]);
        }
    }

    [Fact]
    public void Held_out_windows_follow_each_other()
    {
        var source = Batches(1, 4);
        var batches = source.Windows().ToArray();
        Assert.Equal(Words.Length / source.Tokens, batches.Sum(b => b.Sequences));
        var length = batches[0].Ids.Length / 4;
        Assert.Equal(Words[..source.Tokens], Joined(batches[0].Ids.AsSpan(0, length), batches[0].Labels.AsSpan(0, batches[0].Labels.Length / 4)));
    }

    [Fact]
    public void Pairs_are_padded_and_the_decoder_reads_padding_where_no_label_is()
    {
        var ids = TextToTextIds.Bytes;
        var batch = PairBatch.Of([new([1, 2, ids.End], [7, ids.End]), new([3, ids.End], [8, 9, ids.End])], ids, 4, 4);
        Assert.Equal([1, 2, ids.End, ids.Padding, 3, ids.End, ids.Padding, ids.Padding], batch.Ids);
        Assert.Equal([1, 1, 1, 0, 1, 1, 0, 0], batch.Mask);
        Assert.Equal([7, ids.End, -100, -100, 8, 9, ids.End, -100], batch.Labels);
        Assert.Equal([ids.Start, 7, ids.End, ids.Padding, ids.Start, 8, 9, ids.End], batch.DecoderIds);
        Assert.Equal([3, ids.End, ids.Padding, ids.Padding], batch.Part(1, 1).Ids);
        Assert.Equal([8, 9, ids.End, -100], batch.Part(1, 1).Labels);
    }

    [Fact]
    public void More_spans_than_sentinels_are_refused() =>
        Assert.Contains("sentinels", Assert.Throws<DataException>(
            () => new SpanBatches(new int[4000], TextToTextIds.Bytes, new SpanCorruption(), 3000, 0, 1)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_permutation_is_one_and_moves_with_seed_and_place()
    {
        var stream = new Streams(3).Named("x");
        var order = Shuffle.Order(stream, 0, 100);
        Assert.Equal(Enumerable.Range(0, 100), order.Order());
        Assert.Equal(order, Shuffle.Order(stream, 0, 100));
        Assert.NotEqual(order, Shuffle.Order(stream, 100, 100));
        Assert.NotEqual(order, Shuffle.Order(new Streams(4).Named("x"), 0, 100));
    }
}
