using System.Text.Json;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Runs that read their text as tokens.</summary>
public sealed class TokenizerRunTests : IDisposable
{
    readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    static string Tokenizer(string name) => Path.Combine(TruthFolder.Part("tokenizer"), name);

    static string Good(params string[] arguments)
    {
        var result = MoeCommand.Run(arguments);
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }

    static string Refused(params string[] arguments)
    {
        var result = MoeCommand.Run(arguments);
        Assert.Equal(2, result.ExitCode);
        return Assert.Single(result.Error.TrimEnd('\n').Split('\n'));
    }

    [Theory]
    [InlineData("bpe-llama3-1000", "tokenizer.json")]
    [InlineData("austen-1000.model", "tokenizer.model")]
    public void A_run_keeps_its_tokenizer_and_goes_on_to_the_same_bytes(string name, string kept)
    {
        string[] options = ["--tokenizer", Tokenizer(name), "--steps", "6", "--checkpoint-every", "3"];
        Good(_workspace.Tiny("whole", options));
        Assert.True(File.Exists(_workspace.At($"whole/{kept}")));
        Good(_workspace.Tiny("again", options));
        Directory.Delete(_workspace.At("again/checkpoints/step-00000006"), true);
        Good("train", "--resume", _workspace.At("again"));
        Assert.Equal(_workspace.CheckpointHash("whole"), _workspace.CheckpointHash("again"));

        using var evaluated = JsonDocument.Parse(Good("evaluate", _workspace.At("whole"), "--json"));
        long bytes = evaluated.RootElement.GetProperty("bytes").GetInt64(), tokens = evaluated.RootElement.GetProperty("tokens").GetInt64();
        Assert.InRange(tokens, bytes / 10, bytes - 1);
        // 1,000 ids of a model that knows nothing are log₂ 1000 bits a token.
        var most = Math.Log2(1000) * tokens / bytes;
        Assert.InRange(evaluated.RootElement.GetProperty("bits_per_byte").GetDouble(), 0.1, 1.2 * most);
    }

    [Fact]
    public void It_writes_text_until_it_is_stopped()
    {
        Good(_workspace.Tiny("run", "--tokenizer", Tokenizer("bpe-gpt2-1000"), "--steps", "4"));
        string[] write = ["generate", _workspace.At("run"), "--prompt", "It is", "--tokens", "12", "--seed", "5"];
        var text = Good(write);
        Assert.StartsWith("It is", text, StringComparison.Ordinal);
        Assert.Equal(text, Good(write));
        var more = text["It is".Length..].TrimEnd('\n');
        var stop = more[(more.Length / 2)..(more.Length / 2 + 1)];
        Assert.Equal($"It is{more[..more.IndexOf(stop, StringComparison.Ordinal)]}\n", Good([.. write, "--stop", stop]));
        Assert.NotEqual(text, Good([.. write[..^2], "--temperature", "0"]));
        Assert.Contains("--tokens", Refused("generate", _workspace.At("run"), "--bytes", "3"), StringComparison.Ordinal);
        Assert.Contains("top p 0", Refused("generate", _workspace.At("run"), "--top-p", "0"), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_tokenizer_than_the_models_is_refused()
    {
        Good(_workspace.Tiny("run", "--steps", "2"));
        var more = Refused(
            "train", "--from", _workspace.At("run"), "--tokenizer", Tokenizer("bpe-gpt2-1000"), "--steps", "1", "--out", _workspace.At("more"));
        Assert.Contains("ids up to 999 and the model 256", more, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_workspace.At("more")));

        Good(_workspace.Tiny("tokens", "--steps", "2", "--tokenizer", Tokenizer("bpe-gpt2-1000")));
        var exchanged = Refused(
            "train", "--from", _workspace.At("tokens"), "--tokenizer", Tokenizer("bpe-llama3-1000"), "--steps", "1", "--out", _workspace.At("more"));
        Assert.Contains("knows the tokens of its own (tokenizer.json)", exchanged, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_workspace.At("more")));
        File.Copy(Path.Combine(Tokenizer("bpe-llama3-1000"), "tokenizer.json"), _workspace.At("tokens/tokenizer.json"), overwrite: true);
        Assert.Contains("is not the tokenizer that the run began with", Refused("evaluate", _workspace.At("tokens")), StringComparison.Ordinal);
        File.WriteAllText(_workspace.At("tokens/tokenizer.json"), "no tokenizer");
        Assert.Contains("is not the tokenizer that the run began with", Refused("evaluate", _workspace.At("tokens")), StringComparison.Ordinal);
        File.Delete(_workspace.At("tokens/tokenizer.json"));
        foreach (var command in (string[])["evaluate", "generate", "report"])
            Assert.EndsWith("tokenizer.json: no such file, and the run began with this tokenizer; put it back", Refused(command, _workspace.At("tokens")),
                StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_that_cannot_be_used_is_one_line_and_leaves_no_folder()
    {
        File.WriteAllText(_workspace.At("t.json"), """{"model": {"type": "WordPiece"}}""");
        Assert.Contains("type 'WordPiece' is unsupported", Refused(_workspace.Tiny("run", "--tokenizer", _workspace.At("t.json"))), StringComparison.Ordinal);
        Assert.False(Directory.Exists(_workspace.At("run")));
    }

    [Fact]
    public void An_encoder_and_decoder_learns_from_spans_of_tokens()
    {
        string[] train = ["train", "--text", _workspace.TextPath, "--threads", "1", "--json", "--out", _workspace.At("run")];
        Good([.. train, "--preset", "switch-tiny", "--steps", "2", "--tokenizer", Tokenizer("austen-1000.model")]);
        using var config = JsonDocument.Parse(File.ReadAllText(_workspace.At("run/config.json")));
        var model = config.RootElement.GetProperty("model");
        Assert.Equal([1100, 0, 1], ((string[])["vocabulary", "padding_id", "end_id"]).Select(name => model.GetProperty(name).GetInt32()));
        Good("evaluate", _workspace.At("run"), "--json");
    }
}
