using System.Text.Json;
using SparseExperts.Text;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>The same draws give what the package t5 made of them, and lengths are its lengths.</summary>
public sealed class TruthSpanCorruptionTests
{
    const string Part = "span-corruption";

    public static TheoryData<string, int> Examples => Of("examples");
    public static TheoryData<string, int> LengthRules => Of("lengths");

    static TheoryData<string, int> Of(string list)
    {
        var data = new TheoryData<string, int>();
        foreach (var file in TruthFolder.Files(Part, "expected.json"))
            for (var i = 0; i < Read(TruthFolder.Short(Part, file), list).Length; i++) data.Add(TruthFolder.Short(Part, file), i);
        return data;
    }

    static JsonElement[] Read(string file, string list)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(TruthFolder.Part(Part), file)));
        return [.. document.RootElement.GetProperty(list).EnumerateArray().Select(e => e.Clone())];
    }

    static int[] Numbers(JsonElement example, string name) => [.. example.GetProperty(name).EnumerateArray().Select(e => e.GetInt32())];

    static SpanCorruption Rule(JsonElement example) =>
        new(example.GetProperty("noise_density").GetDouble(), example.GetProperty("mean_noise_span_length").GetDouble());

    [Fact]
    public void There_are_examples()
    {
        Assert.NotEmpty(Examples);
        Assert.NotEmpty(LengthRules);
    }

    [Theory, MemberData(nameof(Examples))]
    public void Draws_give_mask_inputs_and_targets(string file, int number)
    {
        var example = Read(file, "examples")[number];
        var (tokens, vocabulary) = (Numbers(example, "tokens"), example.GetProperty("vocabulary").GetInt32());
        var mask = Rule(example).Mask(tokens.Length, Numbers(example, "order_noise"), Numbers(example, "order_nonnoise"));
        Assert.Equal(Numbers(example, "mask"), mask.Select(m => m ? 1 : 0));
        Assert.Equal(Numbers(example, "inputs"), SpanCorruption.Inputs(tokens, mask, vocabulary));
        Assert.Equal(Numbers(example, "targets"), SpanCorruption.Targets(tokens, mask, vocabulary));
    }

    [Theory, MemberData(nameof(LengthRules))]
    public void Lengths_are_those_of_the_package(string file, int number)
    {
        var example = Read(file, "lengths")[number];
        var lengths = Rule(example).Lengths(example.GetProperty("inputs_length").GetInt32());
        Assert.Equal((example.GetProperty("tokens_length").GetInt32(), example.GetProperty("targets_length").GetInt32()), lengths);
    }
}
