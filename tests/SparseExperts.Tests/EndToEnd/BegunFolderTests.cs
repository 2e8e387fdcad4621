using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>A run that ends before anything of it was saved leaves its place as it found it.</summary>
public sealed class BegunFolderTests
{
    static readonly string[] Diverging = ["--steps", "40", "--rate", "1e30"];

    [Fact]
    public void A_run_that_diverges_at_once_leaves_no_folder_and_can_be_repeated()
    {
        using var workspace = new Workspace();
        var failed = MoeCommand.Run(workspace.Tiny("run", Diverging));
        Assert.Equal(2, failed.ExitCode);
        Assert.Contains("lower the learning rate", Assert.Single(failed.Error.TrimEnd('\n').Split('\n')));
        Assert.False(Directory.Exists(workspace.At("run")));
        Assert.Contains("run: no such folder", MoeCommand.Run(["train", "--resume", workspace.At("run")]).Error);
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
    }

    [Fact]
    public void A_folder_that_was_there_stays_and_is_empty()
    {
        using var workspace = new Workspace();
        Directory.CreateDirectory(workspace.At("run"));
        Assert.Equal(2, MoeCommand.Run(workspace.Tiny("run", Diverging)).ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(workspace.At("run")));
    }

    [Fact]
    public void What_was_measured_or_saved_before_a_run_diverged_stays()
    {
        using var workspace = new Workspace();
        var failed = MoeCommand.Run(workspace.Tiny("run", [.. Diverging, "--checkpoint-every", "1"]));
        Assert.Equal(2, failed.ExitCode);
        Assert.True(File.Exists(workspace.At("run/config.json")));
        Assert.NotEmpty(Directory.GetDirectories(workspace.At("run/checkpoints"), "step-*"));
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_called_by_its_own_name()
    {
        using var workspace = new Workspace();
        var path = workspace.At("no/page.html");
        Assert.DoesNotContain(".tmp", Assert.ThrowsAny<IOException>(() => SparseExperts.Formats.AtomicFile.WriteText(path, "text")).Message);
    }

    [Theory]
    [InlineData("train", false)]
    [InlineData("dialects", null)]
    [InlineData("backends", null)]
    public void A_full_disk_behind_standard_output_is_what_the_line_speaks_of(string command, bool? isLeft)
    {
        if (!OperatingSystem.IsLinux()) return;
        using var workspace = new Workspace();
        string[] arguments = command == "train" ? workspace.Tiny("run", "--steps", "2") : [command];
        var moe = Path.Combine(AppContext.BaseDirectory, "moe.dll");
        using var process = MoeCommand.StartProcess("sh", ["-c", "exec dotnet \"$@\" > /dev/full", "sh", moe, .. arguments]);
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(2, process.ExitCode);
        Assert.StartsWith("moe: standard output cannot be written (", Assert.Single(error.TrimEnd('\n').Split('\n')));
        if (isLeft is { } left) Assert.Equal(left, Directory.Exists(workspace.At("run")));
    }
}
