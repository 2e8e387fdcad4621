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

        var filled = Good("generate", _workspace.At("run"), "--prompt", "It was the <extra_id_0> of times", "--bytes", "4", "--threads", "1");
        Assert.StartsWith("It was the ", filled, StringComparison.Ordinal);

        Good(Train("finer", "--from", _workspace.At("run"), "--steps", "2", "--expert-dropout", "0.3"));
        using var config = JsonDocument.Parse(File.ReadAllText(_workspace.At("finer/config.json")));
        Assert.Equal("spans", config.RootElement.GetProperty("data").GetString());
        Assert.Equal(0.3, config.RootElement.GetProperty("model").GetProperty("expert_dropout").GetDouble());
        Assert.Equal(_workspace.At("run"), config.RootElement.GetProperty("from").GetString());

        using var table = JsonDocument.Parse(Good("distill", _workspace.At("run"), "--dense", "--steps", "2", "--json", "--threads", "1"));
        Assert.Equal(["sparse teacher", "dense, alone", "dense, taught"],
            table.RootElement.GetProperty("runs").EnumerateArray().Select(r => r.GetProperty("name").GetString()));
    }

    /// <summary>Tasks whose targets are all alike are learnt in a few steps, so that what is written is known.</summary>
    [Fact]
    public void Tasks_are_learnt_measured_and_answered()
    {
        var tasks = _workspace.At("tasks.jsonl");
        File.WriteAllLines(tasks, Enumerable.Range(0, 60).Select(i => $"{{\"input\": \"say {i}\", \"target\": \"a\"}}"));
        Good("train", "--text", tasks, "--out", _workspace.At("run"), "--preset", "switch-tiny", "--steps", "60", "--threads", "1", "--json");
        using var evaluated = JsonDocument.Parse(Good("evaluate", _workspace.At("run"), "--json"));
        Assert.Equal(1, evaluated.RootElement.GetProperty("exact_match").GetDouble());
        Assert.Contains("\"exact_match\":1", File.ReadAllText(_workspace.At("run/metrics.jsonl")), StringComparison.Ordinal);
        Assert.Equal("a", Good("generate", _workspace.At("run"), "--prompt", "say 7", "--temperature", "0").Trim());
        Assert.Equal("a", Good("generate", _workspace.At("run"), "--prompt", "say 7", "--beams", "3").Trim());
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

    /// <summary>Twenty bytes a span in the mean, as in ByT5, unless another length is asked for; a model that goes on from a run has that run's.</summary>
    [Fact]
    public void Spans_are_as_asked_for_and_kept_with_the_run()
    {
        (double Mean, double Density, int Target) Of(string run)
        {
            using var config = JsonDocument.Parse(File.ReadAllText(_workspace.At($"{run}/config.json")));
            var spans = config.RootElement.GetProperty("spans");
            var target = config.RootElement.GetProperty("model").GetProperty("target_context").GetInt32();
            return (spans.GetProperty("mean_span_length").GetDouble(), spans.GetProperty("noise_density").GetDouble(), target);
        }

        JsonElement Training(string run) => JsonDocument.Parse(File.ReadAllText(_workspace.At($"{run}/config.json"))).RootElement.GetProperty("training");
        Good(Train("usual", "--preset", "switch-tiny", "--steps", "1"));
        Good(Train("short", "--preset", "switch-tiny", "--steps", "1", "--mean-span-length", "3", "--noise-density", "0.3"));
        Good(Train("finer", "--from", _workspace.At("short"), "--steps", "1"));
        Assert.Equal(-0.8, Training("usual").GetProperty("adafactor").GetProperty("decay_rate").GetDouble());
        // 73 bytes are 11 of noise in one span; 80 are 24 in eight. Each span has a sentinel, and each side an end.
        Assert.Equal((20, 0.15, 11 + 1 + 1), Of("usual"));
        Assert.Equal((3, 0.3, 24 + 8 + 1), Of("short"));
        Assert.Equal(Of("short"), Of("finer"));
        Assert.Contains("30 % of the text, in the mean 3 tokens each", File.ReadAllText(_workspace.At("short/report.html")), StringComparison.Ordinal);
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
    [InlineData("--mean-span-length: not with bytes", "--preset", "tiny", "--mean-span-length", "3")]
    [InlineData("--noise-density: not with bytes", "--preset", "tiny", "--noise-density", "0.2")]
    [InlineData("--noise-density: not with --dry-run", "--preset", "switch-tiny", "--noise-density", "0.2", "--dry-run")]
    [InlineData("noise density 1: between 0 and 1", "--preset", "switch-tiny", "--noise-density", "1")]
    [InlineData("mean span length 0: at least 1", "--preset", "switch-tiny", "--mean-span-length", "0")]
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
