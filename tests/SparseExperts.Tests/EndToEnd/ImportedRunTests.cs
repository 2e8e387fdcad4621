using System.Text.Json;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>What an imported run cannot do is one line, with a remedy that the command or another one has, and leaves the disk as it was.</summary>
public sealed class ImportedRunTests(ImportedRunTests.Imported imported) : IClassFixture<ImportedRunTests.Imported>
{
    /// <summary>An imported decoder without a tokenizer, an imported Switch with one, and an own decoder.</summary>
    public sealed class Imported : IDisposable
    {
        public Imported()
        {
            var tokenizer = Path.Combine(TruthFolder.Part("tokenizer"), "austen-1000.model");
            string[] text = ["--text", Space.TextPath, "--threads", "1", "--steps", "1", "--json"];
            Good(["import", Path.Combine(TruthFolder.Part("checkpoints"), "language-models", "mixtral-tiny"), "--out", Space.At("decoder")]);
            string[] preset = ["--preset", "switch-tiny", "--dialect", "hf.switch.v4", "--tokenizer", tokenizer];
            Good(["train", .. preset, .. text, "--out", Space.At("trained")]);
            Good(["export", Space.At("trained"), "--out", Space.At("hub")]);
            Good(["import", Space.At("hub"), "--out", Space.At("switch")]);
            Good(Space.Tiny("own", "--steps", "1"));
            File.WriteAllText(Space.At("tiny.txt"), File.ReadAllText(Space.TextPath)[..600]);
            File.WriteAllText(Space.At("line.txt"), File.ReadAllText(Space.TextPath)[..50]);
            File.WriteAllText(Space.At("short.txt"), File.ReadAllText(Space.TextPath)[..2000]);
        }

        internal Workspace Space { get; } = new();

        public void Dispose() => Space.Dispose();
    }

    readonly Workspace _space = imported.Space;

    static string Good(params string[] arguments)
    {
        var result = MoeCommand.Run(arguments);
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }

    string Refused(string call)
    {
        static bool IsPath(string word) => word is "decoder" or "switch" or "own" or "new" || word.EndsWith(".txt", StringComparison.Ordinal);
        var before = Entries();
        var result = MoeCommand.Run([.. call.Split(' ').Select(word => IsPath(word) ? _space.At(word) : word)]);
        Assert.Equal(2, result.ExitCode);
        Assert.Equal(before, Entries());
        return Assert.Single(result.Error.TrimEnd('\n').Split('\n')).Replace(_space.Folder + "/", "", StringComparison.Ordinal);
    }

    string[] Entries() => [.. Directory.EnumerateFileSystemEntries(_space.Folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    [Theory]
    [InlineData("--experts 3")]
    [InlineData("--width 32")]
    [InlineData("--layers 3")]
    [InlineData("--dense")]
    [InlineData("--dialect hf.mixtral")]
    [InlineData("--capacity-factor 2")]
    [InlineData("--format bfloat16")]
    [InlineData("--context 9")]
    public void An_imported_decoder_names_the_option_that_cannot_change_it(string option)
    {
        const string what = "not for an imported decoder (mixtral), whose sizes and rules are those of its checkpoint; leave it out";
        Assert.Equal($"moe: {option.Split(' ')[0]}: {what}", Refused($"train --from decoder --text text.txt --steps 1 --out new {option}"));
    }

    [Theory]
    [InlineData("distill decoder --dense --steps 1", "and cannot be distilled; name the run of an own decoder or of a Switch")]
    [InlineData("distill switch --dense --steps 1", "has no text; name a run that began with it and learnt from one")]
    [InlineData("report decoder", "decoder: was imported and has no training to show; moe evaluate decoder --text FILE measures it")]
    [InlineData("evaluate decoder", "has no text of its own; name one (--text)")]
    [InlineData("evaluate decoder --text text.txt", "its ids are no bytes; import its checkpoint again with its tokenizer's file")]
    [InlineData("evaluate switch --text tiny.txt", "tokens of text are fewer than a sequence's 568; name a longer text (--text)")]
    [InlineData("evaluate own --text line.txt", "bytes are too few for sequences of 64; name a text of at least 70 bytes (--text)")]
    [InlineData("train --resume switch", "switch: was imported and has no training to go on with; begin one from it, with a text (--from, --text)")]
    [InlineData("train --from own --text text.txt --out new --experts 3", "--experts: not with --from, the weights of own have other sizes; leave it out")]
    [InlineData("train --from own --text text.txt --out new --width 64", "--width: not with --from, the weights of own")]
    [InlineData("train --from own --text text.txt --out new --layers 9", "--layers: not with --from, the weights of own")]
    [InlineData("train --from own --text text.txt --out new --dense", "--dense: not with --from, the weights of own")]
    [InlineData("train --from own --text text.txt --out new --dialect t2t.noisy_topk", "--dialect: the weights of own do not fit it (")]
    [InlineData("generate own --tokens 3", "--tokens: not for a run that reads bytes; say --bytes")]
    [InlineData("generate switch --bytes 3", "--bytes: not for a run that has a tokenizer; say --tokens")]
    public void What_it_cannot_do_has_a_remedy_that_there_is(string call, string expected) =>
        Assert.Contains(expected, Refused(call), StringComparison.Ordinal);

    /// <summary>It was met when all steps were trained.</summary>
    [Fact]
    public void A_held_out_part_without_a_window_is_met_before_the_first_step() =>
        Assert.StartsWith("moe: text.txt, its last 5 %, which are held out: ",
            Refused("train --from switch --text text.txt --context 128 --steps 2 --out new --mean-span-length 3"), StringComparison.Ordinal);

    [Fact]
    public void A_damaged_import_is_imported_again()
    {
        using var space = new Workspace();
        space.Take(_space, "decoder");
        File.Delete(space.At("decoder/checkpoints/step-00000000/state.json"));
        foreach (var call in (string[][])[["evaluate", space.At("decoder")], ["export", space.At("decoder"), "--out", space.At("new")]])
            Assert.EndsWith("decoder: was imported, and its checkpoint is not whole; import it again\n", MoeCommand.Run(call).Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_fills_no_window_is_said()
    {
        var bytes = new FileInfo(_space.At("short.txt")).Length;
        // The first byte is nobody's label.
        var left = (bytes - 1) % 64;
        using var measured = JsonDocument.Parse(Good("evaluate", _space.At("own"), "--text", _space.At("short.txt"), "--json"));
        Assert.Equal(bytes - 1, measured.RootElement.GetProperty("bytes").GetInt64() + measured.RootElement.GetProperty("left_out_bytes").GetInt64());
        Assert.Equal(left, measured.RootElement.GetProperty("left_out_bytes").GetInt64());
        Assert.Contains($"; {left} bytes at its end fill no window and are left out", Good("evaluate", _space.At("own"), "--text", _space.At("short.txt")));
        Assert.DoesNotContain("left", Good("evaluate", _space.At("own"), "--json"), StringComparison.Ordinal);
    }

    /// <summary>A dense twin has nothing of the checkpoint, and keeps the tokenizer where a run of its own does.</summary>
    [Fact]
    public void A_switch_that_was_trained_on_is_distilled_and_says_what_it_does_not_fill()
    {
        string[] text = ["--text", _space.TextPath, "--threads", "1", "--json"];
        Good(["train", "--from", _space.At("switch"), "--context", "32", "--steps", "1", "--out", _space.At("tuned"), .. text]);
        Assert.True(File.Exists(_space.At("tuned/source/spiece.model")));
        Good("distill", _space.At("tuned"), "--dense", "--steps", "1", "--threads", "1", "--out", _space.At("dense"));
        Assert.Equal(["alone", "taught"], Directory.GetDirectories(_space.At("dense")).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.True(File.Exists(_space.At("dense/alone/tokenizer.model")));
        Assert.False(Directory.Exists(_space.At("dense/alone/source")));
        Good("evaluate", _space.At("dense/alone"));
        Directory.Delete(_space.At("dense/alone"), recursive: true);
        Assert.Contains("taught: exists and is not empty", MoeCommand.Run(["distill", _space.At("tuned"), "--dense", "--out", _space.At("dense")]).Error);
        Assert.False(Directory.Exists(_space.At("dense/alone")));

        var silent = MoeCommand.Run(["generate", _space.At("tuned"), "--prompt", "It <extra_id_0> a <extra_id_1>", "--tokens", "1", "--temperature", "0"]);
        Assert.Equal(0, silent.ExitCode);
        Assert.Contains("<extra_id_1>", silent.Error, StringComparison.Ordinal);
        Assert.StartsWith("note: the model wrote nothing for ", silent.Error, StringComparison.Ordinal);
    }
}
