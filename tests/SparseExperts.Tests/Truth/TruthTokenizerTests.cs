using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Text;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>Tokenizers give what the libraries gave that the files come from: sentencepiece and tokenizers.</summary>
public sealed class TruthTokenizerTests
{
    const string Part = "tokenizer";

    public static TheoryData<string, int> SentencePieceTexts => Of(f => Json(f).ValueKind == JsonValueKind.Array, f => Json(f).GetArrayLength());
    public static TheoryData<string, int> JsonTexts => Of(IsJsonKind, f => Json(f).GetProperty("texts").GetArrayLength());
    public static TheoryData<string, int> Cuts => Of(IsJsonKind, f => Json(f).GetProperty("cut").GetArrayLength());

    static TheoryData<string, int> Of(Func<string, bool> wants, Func<string, int> count)
    {
        var data = new TheoryData<string, int>();
        foreach (var file in TruthFolder.Files(Part, "expected.json").Select(f => TruthFolder.Short(Part, f)).Where(wants))
            for (var i = 0; i < count(file); i++) data.Add(file, i);
        return data;
    }

    static bool IsJsonKind(string file) => Json(file).ValueKind == JsonValueKind.Object;

    static string At(string file) => Path.Combine(TruthFolder.Part(Part), file);

    static JsonElement Json(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllText(At(file)));
        return document.RootElement.Clone();
    }

    /// <summary>The one tokenizer that lies beside expectations.</summary>
    static ITokenizer Beside(string file)
    {
        var folder = Path.GetDirectoryName(At(file))!;
        return Tokenizers.Load(Directory.GetFiles(folder, "*.model").FirstOrDefault() ?? folder);
    }

    static int[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(e => e.GetInt32())];
    static string[] Words(JsonElement list) => [.. list.EnumerateArray().Select(e => e.GetString()!)];

    [Fact]
    public void There_are_texts()
    {
        Assert.NotEmpty(SentencePieceTexts);
        Assert.NotEmpty(JsonTexts);
        Assert.NotEmpty(Cuts);
    }

    [Theory, MemberData(nameof(SentencePieceTexts))]
    public void Sentencepiece_texts(string file, int number)
    {
        var (expected, tokenizer) = (Json(file)[number], Beside(file));
        var encoded = tokenizer.Encode(expected.GetProperty("text").GetString()!);
        Assert.Equal(Numbers(expected.GetProperty("ids")), encoded.Ids);
        Assert.Equal(expected.GetProperty("decoded").GetString(), tokenizer.Decode(encoded.Ids));
        Assert.All(encoded.Ids, id => Assert.InRange(id, 0, tokenizer.Vocabulary - 1));
        Assert.Equal(Words(expected.GetProperty("pieces")), encoded.Tokens);
    }

    [Theory, MemberData(nameof(JsonTexts))]
    public void Texts_of_a_tokenizer_json(string file, int number)
    {
        var (expected, tokenizer) = (Json(file).GetProperty("texts")[number], Beside(file));
        var text = expected.GetProperty("text").GetString()!;
        var encoded = tokenizer.Encode(text);
        Assert.Equal(Numbers(expected.GetProperty("ids")), encoded.Ids);
        Assert.Equal(Words(expected.GetProperty("tokens")), encoded.Tokens);
        Assert.Equal(expected.GetProperty("offsets").EnumerateArray().Select(o => (o[0].GetInt32(), o[1].GetInt32())), encoded.Offsets);
        var around = tokenizer.Encode(text, addSpecial: true).Ids;
        Assert.Equal(Numbers(expected.GetProperty("ids_with_special")), around);
        Assert.Equal(expected.GetProperty("decoded").GetString(), tokenizer.Decode(encoded.Ids));
        Assert.Equal(expected.GetProperty("decoded_without_special").GetString(), tokenizer.Decode(around, skipSpecial: true));
    }

    [Theory, MemberData(nameof(Cuts))]
    public void Ids_that_begin_or_end_inside_a_character(string file, int number)
    {
        var cut = Json(file).GetProperty("cut")[number];
        Assert.Equal(cut.GetProperty("decoded").GetString(), Beside(file).Decode(Numbers(cut.GetProperty("ids"))));
    }

    [Theory, MemberData(nameof(JsonTexts))]
    public void Merges_as_strings_are_the_same_tokenizer(string file, int number)
    {
        var expected = Json(file).GetProperty("texts")[number];
        var older = JsonNode.Parse(File.ReadAllText(Path.Combine(Path.GetDirectoryName(At(file))!, "tokenizer.json")))!;
        var merges = older["model"]!["merges"]!.AsArray();
        older["model"]!["merges"] = new JsonArray([.. merges.Select(m => (JsonNode)$"{m![0]} {m[1]}")]);
        var tokenizer = Tokenizers.Parse("older", Encoding.UTF8.GetBytes(older.ToJsonString()));
        Assert.Equal(Numbers(expected.GetProperty("ids")), tokenizer.Encode(expected.GetProperty("text").GetString()!).Ids);
    }
}
