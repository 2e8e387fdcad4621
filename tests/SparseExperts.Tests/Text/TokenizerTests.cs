using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using SparseExperts.Data;
using SparseExperts.Tests.Truth;
using SparseExperts.Text;
using Xunit;

namespace SparseExperts.Tests.Text;

public sealed class TokenizerTests
{
    static string At(params string[] path) => Path.Combine([TruthFolder.Part("tokenizer"), .. path]);

    static string Gpt2 => File.ReadAllText(At("bpe-gpt2-1000", "tokenizer.json"));

    static ITokenizer Parse(string json) => Tokenizers.Parse("t.json", Encoding.UTF8.GetBytes(json));

    /// <summary>The tokenizer with another part.</summary>
    static ITokenizer With(string name, string part)
    {
        var json = JsonNode.Parse(Gpt2)!;
        json[name] = JsonNode.Parse(part);
        return Parse(json.ToJsonString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("naïve 🙂 \n")]
    public void Bytes_come_back(string text)
    {
        var bytes = new ByteTokenizer();
        var encoded = bytes.Encode(text);
        Assert.Equal(Encoding.UTF8.GetBytes(text), encoded.Ids.Select(id => (byte)id));
        Assert.Equal(text, bytes.Decode(encoded.Ids));
        Assert.All(encoded.Tokens.Zip(encoded.Ids), pair => Assert.Equal(pair.Second, bytes.Find(pair.First)));
    }

    [Theory]
    [InlineData("pre_tokenizer", """{"type": "BertPreTokenizer"}""", "pre_tokenizer: type 'BertPreTokenizer' is unsupported")]
    [InlineData("pre_tokenizer", """{"type": "Sequence", "pretokenizers": [{"type": "Chinese"}]}""", "pre_tokenizer.pretokenizers[0]: type 'Chinese'")]
    [InlineData("pre_tokenizer", """{"type": "Split", "pattern": {"Regex": "a++"}, "behavior": "Isolated"}""", "pattern 'a++' cannot be used")]
    [InlineData("pre_tokenizer", """{"type": "Split", "pattern": {"Regex": "[a&&b]"}, "behavior": "Isolated"}""", "intersections")]
    [InlineData("pre_tokenizer", """{"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Other"}""", "behavior: 'Other' is unsupported")]
    [InlineData("normalizer", """{"type": "BertNormalizer"}""", "normalizer: type 'BertNormalizer'")]
    [InlineData("post_processor", """{"type": "BertProcessing"}""", "post_processor: type 'BertProcessing'")]
    [InlineData("decoder", """{"type": "WordPiece"}""", "decoder: type 'WordPiece'")]
    [InlineData("model", """{"type": "WordPiece"}""", "model: type 'WordPiece'")]
    [InlineData("model", "{}", "model.type: missing")]
    [InlineData("model", """{"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}""", "model.merges[0]: token 'b' is not in the vocabulary")]
    [InlineData("model", """{"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}""", "model.merges[0]: must be two tokens")]
    [InlineData("model", """{"type": "BPE", "vocab": {"a": -1}, "merges": []}""", "model.vocab.a: must be a number from 0 to")]
    [InlineData("model", """{"type": "BPE", "vocab": {"a": 99999999}, "merges": []}""", "model.vocab.a: must be a number from 0 to")]
    [InlineData("model", """{"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}""", "model.dropout")]
    [InlineData("model", """{"type": "Unigram", "vocab": []}""", "model.vocab: has no tokens")]
    [InlineData("added_tokens", """[{"id": 5000, "content": "a!"}, {"id": 5000, "content": "b!"}]""", "two have the id 5000")]
    public void What_is_not_known_is_named(string name, string part, string says)
    {
        var e = Assert.Throws<DataException>(() => With(name, part));
        Assert.StartsWith("t.json: cannot be used as a tokenizer: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("{\"model\": ", "no JSON")]
    [InlineData("{}", "model.type: missing")]
    [InlineData("hello", "protocol buffers")]
    public void Broken_files_are_said_in_one_line(string text, string says)
    {
        var e = Assert.Throws<DataException>(() => Parse(text));
        Assert.Contains(says, e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', e.Message);
    }

    [Fact]
    public void A_model_that_is_cut_off_is_refused()
    {
        var model = File.ReadAllBytes(At("austen-1000.model"));
        Assert.Contains("no whole message", Assert.Throws<DataException>(() => Tokenizers.Parse("m", model[..^100])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_is_asked_for_a_tokenizer()
    {
        Assert.Equal(1000, Tokenizers.Load(At("bpe-gpt2-1000")).Vocabulary);
        Assert.Contains("holds no tokenizer", Assert.Throws<DataException>(() => Tokenizers.Load(Path.GetTempPath())).Message, StringComparison.Ordinal);
        Assert.Contains("no such file", Assert.Throws<DataException>(() => Tokenizers.Load(At("nothing"))).Message, StringComparison.Ordinal);
    }

    /// <summary>Patterns see a character beyond U+FFFF as one of its kind: 𝐀 and 𝒷 are letters, 𝟘 is a digit, 🙂 neither.</summary>
    [Fact]
    public void Characters_beyond_the_first_plane_have_their_classes()
    {
        var split = With("pre_tokenizer", """
            {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{L}+|\\p{N}"}, "behavior": "Removed"},
             {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
            """);
        Assert.Equal("-🙂-", split.Decode(split.Encode("-𝐀𝒷a🙂𝟘-").Ids));
    }

    /// <summary>Fifty thousand of one thing: quadratic work would take minutes.</summary>
    [Theory]
    [InlineData("bpe-gpt2-1000")]
    [InlineData("bpe-llama3-1000")]
    [InlineData("austen-1000.model")]
    public void Long_words_take_near_linear_time(string file)
    {
        var tokenizer = Tokenizers.Load(At(file));
        var clock = Stopwatch.StartNew();
        foreach (var part in (string[])["a", " ", "ab", "\u0301", "!"])
            Assert.NotNull(tokenizer.Encode(string.Concat(Enumerable.Repeat(part, 50_000))));
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 30);
    }

    [Fact]
    public void Added_tokens_take_white_space_and_whole_words_as_they_say()
    {
        var tokenizer = With("added_tokens", """
            [{"id": 1000, "content": "<a>", "lstrip": true, "rstrip": true, "normalized": false, "special": true},
             {"id": 1001, "content": "Qz", "single_word": true, "normalized": false}]
            """);
        var encoded = tokenizer.Encode("x  <a>  y Qz bQz");
        Assert.Equal([(1, 8), (10, 12)], encoded.Offsets.Where((_, i) => encoded.Ids[i] >= 1000));
        Assert.Equal(1002, tokenizer.Vocabulary);
        Assert.DoesNotContain("<a>", tokenizer.Decode(encoded.Ids, skipSpecial: true), StringComparison.Ordinal);
    }

    /// <summary>
    /// Form D, C, KD and KC of a letter with two marks in the wrong order, Å, Hangul, the ligature ﬁ, and what is never composed again (U+0958).
    /// </summary>
    [Theory]
    [InlineData("NFD", "a\u0301\u0323 \u0061\u030A \u1112\u1161\u11AB \uFB01 \u0915\u093C")]
    [InlineData("NFC", "\u1EA1\u0301 \u00E5 \uD55C \uFB01 \u0915\u093C")]
    [InlineData("NFKD", "a\u0301\u0323 \u0061\u030A \u1112\u1161\u11AB fi \u0915\u093C")]
    [InlineData("NFKC", "\u1EA1\u0301 \u00E5 \uD55C fi \u0915\u093C")]
    public void Normal_forms_are_those_of_unicode(string form, string expected)
    {
        var tokenizer = With("normalizer", $$"""{"type": "{{form}}"}""");
        var text = "a\u0301\u0323 \u00E5 \uD55C \uFB01 \u0958";
        Assert.Equal(expected.Replace("a\u0301\u0323", "a\u0323\u0301", StringComparison.Ordinal), tokenizer.Decode(tokenizer.Encode(text).Ids));
    }

    [Fact]
    public void A_model_of_T5_has_T5s_ids()
    {
        var ids = TextToTextIds.Of(Tokenizers.Load(At("austen-1000.model")));
        Assert.Equal(new TextToTextIds(1100, 0, 1, 100), ids);
    }

    [Fact]
    public void What_a_tokenizer_lacks_comes_behind_it() =>
        Assert.Equal(new TextToTextIds(1000 + 1 + 100, 1000, 0, 100), TextToTextIds.Of(Tokenizers.Load(At("bpe-gpt2-1000"))));

    [Fact]
    public void Bytes_of_tokens_are_those_of_the_text()
    {
        byte[] bytes = [.. Enumerable.Range(0, 60_000).SelectMany(i => Encoding.UTF8.GetBytes(i % 7 == 0 ? "né 🙂\n" : $"word {i}  \n"))];
        foreach (var file in (string[])["bpe-llama3-1000", "austen-1000.model"])
        {
            var text = TokenText.Of(bytes, Tokenizers.Load(At(file)), "text");
            Assert.Equal(bytes.Length, text.Bytes(0, text.Length));
            Assert.Equal(text.Bytes(10, 500), text.Bytes(10, 100) + text.Bytes(100, 500));
            Assert.All(Enumerable.Range(0, text.Length), i => Assert.True(text.Bytes(i, i + 1) >= 0));
        }
    }

    [Fact]
    public void A_text_that_is_no_utf8_is_refused() =>
        Assert.Contains("byte 2", Assert.Throws<DataException>(
            () => TokenText.Of(new byte[] { 65, 66, 0xFF, 67 }, new ByteTokenizer(), "text")).Message, StringComparison.Ordinal);

    [Fact]
    public void The_cut_before_the_held_out_part_is_at_a_character()
    {
        var text = ByteText.FromBytes("t", Encoding.UTF8.GetBytes(new string('é', 500)), 8);
        var (train, heldOut) = TokenText.Of(text, new ByteTokenizer());
        Assert.Equal(1000, train.Length + heldOut.Length);
        Assert.Equal(0, train.Length % 2);
    }
}
