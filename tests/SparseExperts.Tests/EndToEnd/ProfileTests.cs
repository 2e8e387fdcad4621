using System.Text.Json;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Where the time goes, as a table and as <c>profile.json</c>; and runs that recompute.</summary>
public sealed class ProfileTests
{
    static JsonElement Profile(Workspace workspace, string run) =>
        JsonDocument.Parse(File.ReadAllText(workspace.At($"{run}/profile.json"))).RootElement;

    static void IsSound(JsonElement profile, string command, long steps)
    {
        Assert.Equal((1, steps), (profile.GetProperty("format").GetInt32(), profile.GetProperty("steps").GetInt64()));
        Assert.Equal((command, "cpu"), (profile.GetProperty("command").GetString(), profile.GetProperty("backend").GetString()));
        var calls = profile.GetProperty("calls").EnumerateArray().ToArray();
        Assert.All(calls, c => Assert.True(c.GetProperty("calls").GetInt64() > 0 && c.GetProperty("seconds").GetDouble() >= 0));
        // Calls are part of the steps' time.
        var shares = calls.Sum(c => c.GetProperty("share").GetDouble());
        Assert.InRange(shares, 0.01, 1.0001);
        Assert.Equal(calls.Select(c => c.GetProperty("seconds").GetDouble()).OrderDescending(), calls.Select(c => c.GetProperty("seconds").GetDouble()));
        Assert.True(profile.GetProperty("peak_bytes").GetInt64() > profile.GetProperty("lasting_bytes").GetInt64());
        string Text(JsonElement c, string name) => c.GetProperty(name).GetString()!;
        var product = ("blocks.1.experts", "GroupedFeedForward", "GemmGroupedActivate", "forward");
        Assert.Contains(calls, c => (Text(c, "layer"), Text(c, "op"), Text(c, "kernel"), Text(c, "activity")) == product);
        Assert.DoesNotContain(calls, c => c.GetProperty("layer").GetString()!.StartsWith("evaluation", StringComparison.Ordinal));
    }

    [Fact]
    public void Training_and_evaluation_say_where_their_time_goes_and_compute_the_same()
    {
        using var workspace = new Workspace(lines: 20);
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("plain", "--steps", "5")).ExitCode);
        var trained = MoeCommand.Run(workspace.Tiny("run", "--steps", "5", "--profile"));
        Assert.Equal((0, ""), (trained.ExitCode, trained.Error));
        Assert.Equal(workspace.CheckpointHash("plain"), workspace.CheckpointHash("run"));
        Assert.False(File.Exists(workspace.At("plain/profile.json")));
        Assert.Contains("profile of 4 steps on cpu:", trained.Output);
        string[] rows = ["embedding", "blocks.0.attention", "blocks.1.router", "blocks.1.experts", "logits", "optimizer", "GemmGroupedActivate"];
        Assert.All(rows, row => Assert.Contains(trained.Output.Split('\n'), line => line.StartsWith(row + " ", StringComparison.Ordinal)));
        Assert.Contains("memory: ", trained.Output);
        var profile = Profile(workspace, "run");
        IsSound(profile, "train", 4);
        Assert.Contains(profile.GetProperty("calls").EnumerateArray(), c => c.GetProperty("activity").GetString() == "backward");

        var plain = MoeCommand.Run(["evaluate", workspace.At("run"), "--json"]);
        var evaluated = MoeCommand.Run(["evaluate", workspace.At("run"), "--json", "--profile"]);
        Assert.Equal((0, plain.Output), (evaluated.ExitCode, evaluated.Output));
        Assert.Contains("blocks.1.experts", evaluated.Error);
        profile = Profile(workspace, "run");
        IsSound(profile, "evaluate", profile.GetProperty("steps").GetInt64());
        Assert.DoesNotContain(profile.GetProperty("calls").EnumerateArray(), c => c.GetProperty("activity").GetString() is "backward" or "update");
        Assert.Contains("profile of ", MoeCommand.Run(["evaluate", workspace.At("run"), "--profile"]).Output);
    }

    [Fact]
    public void A_run_of_one_step_has_a_profile_and_a_resumed_one_of_its_own_steps()
    {
        using var workspace = new Workspace(lines: 20);
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "1", "--profile")).ExitCode);
        IsSound(Profile(workspace, "run"), "train", 1);
        var again = MoeCommand.Run(["train", "--resume", workspace.At("run"), "--profile"]);
        Assert.Equal(0, again.ExitCode);
    }

    [Fact]
    public void A_run_that_recomputes_ends_with_the_same_checkpoint_in_less_memory()
    {
        using var workspace = new Workspace(lines: 20);
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("kept", "--steps", "4", "--profile")).ExitCode);
        var recomputed = MoeCommand.Run(workspace.Tiny("recomputed", "--steps", "4", "--profile", "--recompute"));
        Assert.Equal(0, recomputed.ExitCode);
        Assert.Equal(workspace.CheckpointHash("kept"), workspace.CheckpointHash("recomputed"));
        Assert.Contains("recomputed", recomputed.Output.Split('\n').First(line => line.StartsWith("layer", StringComparison.Ordinal)));
        JsonElement kept = Profile(workspace, "kept"), less = Profile(workspace, "recomputed");
        Assert.True(less.GetProperty("recompute").GetBoolean() && !kept.GetProperty("recompute").GetBoolean());
        Assert.True(less.GetProperty("peak_bytes").GetInt64() < kept.GetProperty("peak_bytes").GetInt64());
    }
}
