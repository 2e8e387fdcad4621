using System.Text.Json;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Training on a folder of languages.</summary>
public sealed class MixtureRunTests : IDisposable
{
    readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    string[] Train(string run, string text, string temperature) =>
        ["train", "--preset", "tiny", "--text", text, "--mixture", temperature, "--steps", "3", "--out", _workspace.At(run), "--threads", "1"];

    [Fact]
    public void Each_language_has_its_held_out_part_and_the_run_keeps_the_mixture()
    {
        foreach (var (language, lines) in new[] { ("de", 40), ("en", 90) })
        {
            Directory.CreateDirectory(_workspace.At($"texts/{language}"));
            var text = Enumerable.Range(0, lines).Select(i => $"{language} {i}: the same words again and again\n");
            File.WriteAllText(_workspace.At($"texts/{language}/a.txt"), string.Concat(text));
        }
        var trained = MoeCommand.Run(Train("run", _workspace.At("texts"), "2"));
        Assert.Equal((0, ""), (trained.ExitCode, trained.Error));
        var config = JsonDocument.Parse(File.ReadAllText(_workspace.At("run/config.json"))).RootElement;
        Assert.Equal(2, config.GetProperty("mixture").GetDouble());
        var measured = JsonDocument.Parse(MoeCommand.Run(["evaluate", _workspace.At("run"), "--json"]).Output).RootElement;
        var languages = measured.GetProperty("languages").EnumerateObject().ToDictionary(l => l.Name, l => l.Value.GetDouble());
        Assert.Equal(["de", "en"], languages.Keys.Order());
        var both = measured.GetProperty("bits_per_byte").GetDouble();
        Assert.InRange(both, languages.Values.Min(), languages.Values.Max());
    }

    [Fact]
    public void A_text_without_languages_and_a_temperature_below_one_are_refused()
    {
        var single = MoeCommand.Run(Train("run", _workspace.TextPath, "2"));
        var expected = $"moe: {_workspace.TextPath}: a mixture needs a folder with a folder of texts for each language (--text)\n";
        Assert.Equal((2, expected), (single.ExitCode, single.Error));
        Directory.CreateDirectory(_workspace.At("texts/en"));
        File.Copy(_workspace.TextPath, _workspace.At("texts/en/a.txt"));
        var cold = MoeCommand.Run(Train("run", _workspace.At("texts"), "0.5"));
        Assert.Equal((2, "moe: mixture temperature 0.5: 1 or more (--mixture)\n"), (cold.ExitCode, cold.Error));
        Assert.False(Directory.Exists(_workspace.At("run")));
    }
}
