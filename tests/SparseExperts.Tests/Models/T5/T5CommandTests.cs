using System.Text.Json;
using SparseExperts.Tests.EndToEnd;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

/// <summary>An encoder and decoder through the command, from training to what is made of it.</summary>
public sealed class T5CommandTests : IDisposable
{
    readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    string[] Train(string run, params string[] more) =>
        ["train", "--text", _workspace.TextPath, "--out", _workspace.At(run), "--threads", "1", "--json", .. more];

    static string Good(params string[] arguments)
    {
        var result = MoeCommand.Run(arguments);
        Assert.True(result.ExitCode == 0, result.Error);
        return result.Output;
    }

    [Fact]
    public void A_run_is_trained_measured_reported_refined_and_distilled()
    {
        Good(Train("run", "--preset", "switch-tiny", "--steps", "6"));
        using var evaluated = JsonDocument.Parse(Good("evaluate", _workspace.At("run"), "--json"));
        Assert.InRange(evaluated.RootElement.GetProperty("bits_per_byte").GetDouble(), 1, 14);
        var page = File.ReadAllText(_workspace.At("run/report.html"));
        Assert.Contains("encoder and decoder of width 32", page, StringComparison.Ordinal);
        Assert.Contains("extra_id_0", page, StringComparison.Ordinal);

        Good(Train("finer", "--from", _workspace.At("run"), "--steps", "2", "--expert-dropout", "0.3"));
        using var config = JsonDocument.Parse(File.ReadAllText(_workspace.At("finer/config.json")));
        Assert.Equal("spans", config.RootElement.GetProperty("data").GetString());
        Assert.Equal(0.3, config.RootElement.GetProperty("model").GetProperty("expert_dropout").GetDouble());
        Assert.Equal(_workspace.At("run"), config.RootElement.GetProperty("from").GetString());

        using var table = JsonDocument.Parse(Good("distill", _workspace.At("run"), "--dense", "--steps", "2", "--json", "--threads", "1"));
        Assert.Equal(["sparse teacher", "dense, alone", "dense, taught"],
            table.RootElement.GetProperty("runs").EnumerateArray().Select(r => r.GetProperty("name").GetString()));
    }

    [Fact]
    public void A_resumed_run_ends_with_the_same_bytes()
    {
        Good(Train("whole", "--preset", "switch-tiny", "--steps", "6", "--checkpoint-every", "3"));
        Directory.CreateDirectory(_workspace.At("half/checkpoints"));
        File.Copy(_workspace.At("whole/config.json"), _workspace.At("half/config.json"));
        CopyFolder(_workspace.At("whole/checkpoints/step-00000003"), _workspace.At("half/checkpoints/step-00000003"));
        Good("train", "--resume", _workspace.At("half"), "--threads", "1", "--json");
        foreach (var file in (string[])["model.safetensors", "optimizer.safetensors"])
            Assert.Equal(File.ReadAllBytes(_workspace.At($"whole/checkpoints/step-00000006/{file}")),
                File.ReadAllBytes(_workspace.At($"half/checkpoints/step-00000006/{file}")));
    }

    static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from)) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    [Fact]
    public void What_no_machine_here_holds_is_counted_and_refused()
    {
        using var counted = JsonDocument.Parse(Good("train", "--preset", "switch-c", "--dry-run", "--json"));
        Assert.Equal(1_571_308_972_448, counted.RootElement.GetProperty("parameters").GetDouble());
        var refused = MoeCommand.Run(Train("large", "--preset", "switch-base"));
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("of memory are needed", refused.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_workspace.At("large")));
    }

    [Theory]
    [InlineData("spans are for models with an encoder", "--preset", "tiny", "--data", "spans")]
    [InlineData("learns from spans, not bytes", "--preset", "switch-tiny", "--data", "bytes")]
    [InlineData("--preset: not with --from", "--preset", "tiny", "--from", "nowhere")]
    [InlineData("nowhere: no such folder", "--from", "nowhere")]
    public void What_does_not_go_together_is_one_line(string line, params string[] options)
    {
        var result = MoeCommand.Run(Train("run", [.. options, "--steps", "1"]));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(line, result.Error, StringComparison.Ordinal);
        Assert.Single(result.Error.Trim().Split('\n'));
    }
}
