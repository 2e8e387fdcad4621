using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

public sealed class SamplingTests
{
    static readonly float[] Logits = [0, 2, 1, 2, -1];

    static int[] Kept(SamplingRule rule) => [.. Sampling.Probabilities(Logits, rule).Index().Where(p => p.Item > 0).Select(p => p.Index)];

    [Fact]
    public void Temperature_0_takes_the_first_of_the_likeliest() => Assert.Equal([1], Kept(new(0)));

    /// <summary>Logits below the k-th largest go; what equals it stays.</summary>
    [Fact]
    public void Top_k_keeps_whatever_equals_the_last()
    {
        Assert.Equal([1, 3], Kept(new(TopK: 1)));
        Assert.Equal([1, 2, 3], Kept(new(TopK: 3)));
        Assert.Equal([0, 1, 2, 3, 4], Kept(new(TopK: 9)));
    }

    /// <summary>The two likeliest have 0.39 each: of equals the last goes first, and one stays for the smallest p.</summary>
    [Fact]
    public void Top_p_keeps_the_token_that_crosses_p()
    {
        Assert.Equal([1], Kept(new(TopP: 0.01)));
        Assert.Equal([1], Kept(new(TopP: 0.38)));
        Assert.Equal([1, 3], Kept(new(TopP: 0.4)));
        Assert.Equal([1, 2, 3], Kept(new(TopP: 0.8)));
    }

    [Fact]
    public void Top_p_counts_what_top_k_left() => Assert.Equal([1], Kept(new(TopK: 2, TopP: 0.4)));

    [Theory]
    [InlineData(-1, 0, 1)]
    [InlineData(double.NaN, 0, 1)]
    [InlineData(1, -1, 1)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 0, 1.5)]
    public void Rules_that_cannot_be_are_refused(double temperature, int topK, double topP) =>
        Assert.Throws<ConfigurationException>(new SamplingRule(temperature, topK, topP).Validate);

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Logits_that_are_no_numbers_are_said(float value) =>
        Assert.Throws<DataException>(() => Sampling.Probabilities([0, value, 1], new()));

    /// <summary>20,000 draws: a share lies within five standard deviations of its probability.</summary>
    [Fact]
    public void Draws_have_the_probabilities()
    {
        const int draws = 20_000;
        var p = Sampling.Probabilities(Logits, new(0.7));
        var counts = new int[p.Length];
        var stream = new Streams(1).Named("draws");
        for (var i = 0; i < draws; i++) counts[Sampling.Choose(p, Philox.UniformDouble(stream, (ulong)i))]++;
        for (var i = 0; i < p.Length; i++) Assert.InRange(counts[i] / (double)draws - p[i], -5 * Deviation(p[i]), 5 * Deviation(p[i]));

        static double Deviation(double p) => Math.Sqrt(p * (1 - p) / draws);
    }
}
