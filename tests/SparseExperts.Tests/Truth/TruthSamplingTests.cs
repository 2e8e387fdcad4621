using System.Globalization;
using System.Text.RegularExpressions;
using SparseExperts.Formats;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>The distribution that transformers drew from: temperature, then top-k, then top-p.</summary>
public sealed partial class TruthSamplingTests
{
    const string Part = "checkpoints", Prefix = "filtered.", Logits = "filtered.logits";

    [GeneratedRegex(@"^(?:top_k(?<k>\d+))?_?(?:(?:top_)?p(?<p>[\d.]+))?_?(?:t(?<t>[\d.]+))?$")]
    private static partial Regex Setting();

    public static TheoryData<string, string> Settings
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var path in TruthFolder.Files(Part, "generation.safetensors"))
            {
                using var file = SafetensorsFile.Open(path);
                foreach (var name in file.Tensors.Select(t => t.Name).Where(n => n.StartsWith(Prefix, StringComparison.Ordinal) && n != Logits))
                    data.Add(TruthFolder.Short(Part, path), name[Prefix.Length..]);
            }
            return data;
        }
    }

    static SamplingRule Rule(string setting)
    {
        var match = Setting().Match(setting);
        Assert.True(match.Success, setting);
        double Number(string group, double otherwise) =>
            match.Groups[group].Success ? double.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture) : otherwise;
        return new(Number("t", 1), (int)Number("k", 0), Number("p", 1));
    }

    /// <summary>
    /// The library computes in float32: a softmax of V numbers is off by V/2 + 4 units of 2⁻²⁴ at most (a sum of V terms in pairs or better, exp, quotient),
    /// and so is the one before it that decides what is kept.
    /// </summary>
    [Theory, MemberData(nameof(Settings))]
    public void Probabilities_are_those_of_the_library(string path, string setting)
    {
        using var file = SafetensorsFile.Open(Path.Combine(TruthFolder.Part(Part), path));
        float[] logits = file.ReadFloats(Logits), expected = file.ReadFloats(Prefix + setting);
        var vocabulary = (int)file.Tensors.Single(t => t.Name == Logits).Shape[1];
        for (var row = 0; row < logits.Length / vocabulary; row++)
        {
            var p = Sampling.Probabilities(logits.AsSpan(row * vocabulary, vocabulary), Rule(setting));
            for (var i = 0; i < vocabulary; i++)
            {
                var wanted = expected[row * vocabulary + i];
                Assert.True(wanted > 0 == p[i] > 0, $"row {row}, token {i}: {p[i]}, the library has {wanted}");
                Assert.InRange(p[i], wanted * (1 - Bound(vocabulary)), wanted * (1 + Bound(vocabulary)));
            }
        }
    }

    static double Bound(int vocabulary) => (vocabulary / 2.0 + 4) * Math.Pow(2, -24);

    [Fact]
    public void There_are_distributions() => Assert.NotEmpty(Settings);
}
