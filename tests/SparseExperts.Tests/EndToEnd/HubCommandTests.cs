using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>From the hub and back by the command.</summary>
public sealed class HubCommandTests
{
    static void Done(MoeCommand.Result result) => Assert.True(result.ExitCode == 0, result.Error);

    /// <summary>A model that was trained here is exported, imported, trained on and exported again.</summary>
    [Fact]
    public void A_trained_encoder_and_decoder_goes_to_the_hub_and_comes_back()
    {
        using var workspace = new Workspace();
        string[] tiny = ["--text", workspace.TextPath, "--threads", "1"];
        Done(MoeCommand.Run(["train", "--preset", "switch-tiny", "--dialect", "hf.switch.v4", "--steps", "1", "--out", workspace.At("run"), .. tiny]));
        Done(MoeCommand.Run(["export", workspace.At("run"), "--out", workspace.At("hub")]));
        Done(MoeCommand.Run(["import", workspace.At("hub"), "--out", workspace.At("imported")]));
        string[][] again = [["export", workspace.At("run"), "--out", workspace.At("hub")], ["import", workspace.At("hub"), "--out", workspace.At("imported")]];
        foreach (var command in again)
            Assert.EndsWith("exists and is not empty; name another folder (--out)\n", MoeCommand.Run(command).Error, StringComparison.Ordinal);
        Done(MoeCommand.Run(["export", workspace.At("imported"), "--out", workspace.At("again")]));
        foreach (var file in (string[])["config.json", "model.safetensors"])
            Assert.Equal(File.ReadAllBytes(workspace.At($"hub/{file}")), File.ReadAllBytes(workspace.At($"again/{file}")));

        var alone = MoeCommand.Run(["evaluate", workspace.At("imported")]);
        Assert.Equal(2, alone.ExitCode);
        Assert.Contains("has no text of its own; name one (--text)", alone.Error, StringComparison.Ordinal);
        Done(MoeCommand.Run(["train", "--from", workspace.At("imported"), "--context", "64", "--steps", "1", "--out", workspace.At("tuned"), .. tiny]));
        Done(MoeCommand.Run(["export", workspace.At("tuned"), "--out", workspace.At("tuned-hub")]));
        Assert.Equal(File.ReadAllBytes(workspace.At("hub/config.json")), File.ReadAllBytes(workspace.At("tuned-hub/config.json")));
        Assert.NotEqual(File.ReadAllBytes(workspace.At("hub/model.safetensors")), File.ReadAllBytes(workspace.At("tuned-hub/model.safetensors")));
    }

    [Fact]
    public void A_model_without_a_form_on_the_hub_is_refused()
    {
        using var workspace = new Workspace();
        Done(MoeCommand.Run(workspace.Tiny("run", "--steps", "1")));
        var result = MoeCommand.Run(["export", workspace.At("run"), "--out", workspace.At("hub")]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("a model of the family decoder has no form on the hub", result.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(workspace.At("hub")));
    }
}
