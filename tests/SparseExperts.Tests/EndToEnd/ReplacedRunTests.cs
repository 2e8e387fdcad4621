using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>A run that is to be replaced is there until the new one has saved something.</summary>
public sealed class ReplacedRunTests : IDisposable
{
    static readonly Lazy<(Workspace Space, string Hash)> Trained = new(() =>
    {
        var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "4")).ExitCode);
        return (workspace, Hash(workspace.At("run")));
    });

    readonly Workspace _workspace = new();

    public ReplacedRunTests() => _workspace.Take(Trained.Value.Space, "run");

    string Run => _workspace.At("run");

    string Replaced => Path.Combine(Run, ".replaced");

    /// <summary>Every file of a run, but for its text's place.</summary>
    static string Hash(string folder) => string.Join("\n", Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Where(f => Path.GetFileName(f) != ".lock")
        .Select(f => $"{Path.GetRelativePath(folder, f)} {Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f)))}"));

    string[] Force(params string[] more) => _workspace.Tiny("run", ["--force", "--seed", "9", .. more]);

    [Theory]
    [InlineData("lower the learning rate", "--steps", "40", "--rate", "1e30")]
    [InlineData("lower the learning rate", "--steps", "400", "--rate", "1e30", "--checkpoint-every", "1000")]
    [InlineData("holds the run that the new one learns from", "--steps", "4", "--from", "{run}")]
    [InlineData("--backend nonsense: unknown", "--steps", "4", "--backend", "nonsense")]
    [InlineData("memory", "--steps", "4", "--batch", "65536")]
    [InlineData("bytes", "--steps", "4", "--text", "{short}")]
    public void What_ends_before_it_saves_leaves_the_old_run_byte_for_byte(string line, params string[] options)
    {
        File.WriteAllText(_workspace.At("short"), "too short");
        string[] asked = [.. options.Select(o => o.Replace("{run}", Run).Replace("{short}", _workspace.At("short")))];
        List<string> call = [.. Force().Where(o => o != _workspace.TextPath), .. asked];
        // What is asked for takes the place of what a tiny training has.
        if (asked.Contains("--from")) call.RemoveRange(call.IndexOf("--preset"), 2);
        call.RemoveAt(call.IndexOf("--text"));
        if (!asked.Contains("--text")) call.AddRange(["--text", _workspace.TextPath]);
        var failed = MoeCommand.Run([.. call]);
        Assert.True(failed.ExitCode is 2 or 3, failed.Error);
        Assert.Contains(line, failed.Error);
        Assert.Equal(Trained.Value.Hash, Hash(Run));
    }

    [Fact]
    public void What_saves_takes_the_place_and_leaves_what_is_no_runs()
    {
        File.WriteAllText(Path.Combine(Run, "notes.txt"), "mine");
        Assert.Equal(0, MoeCommand.Run(Force("--steps", "2")).ExitCode);
        Assert.Equal("step-00000002", Path.GetFileName(Assert.Single(Directory.GetDirectories(Path.Combine(Run, "checkpoints")))));
        Assert.Contains("\"seed\": 9", File.ReadAllText(Path.Combine(Run, "config.json")));
        Assert.True(File.Exists(Path.Combine(Run, "notes.txt")));
        Assert.Equal([".lock"], Directory.GetFileSystemEntries(Run, ".*").Select(Path.GetFileName));
    }

    [Fact]
    public void A_kill_before_anything_is_saved_leaves_both_and_whoever_resumes_has_the_old_one()
    {
        using (var writer = MoeCommand.Start(Force("--steps", "1000000", "--checkpoint-every", "1000000")))
        {
            bool HasBegun() => File.Exists(Path.Combine(Replaced, "config.json")) && File.Exists(Path.Combine(Run, "metrics.jsonl"));
            for (var patience = 3000; patience > 0 && !writer.HasExited && !HasBegun(); patience--) writer.WaitForExit(20);
            var (ended, begun) = (writer.HasExited, HasBegun());
            writer.Kill();
            writer.WaitForExit();
            Assert.Equal((false, true), (ended, begun));
        }
        Assert.Equal(0, MoeCommand.Run(["evaluate", Replaced]).ExitCode);
        var early = MoeCommand.Run(["evaluate", Run]);
        Assert.Equal(2, early.ExitCode);
        Assert.Contains($"has no checkpoint yet (the run that it replaces is in {Replaced} until then)", early.Error);
        Resumes("the run that was to replace this one was stopped before it saved anything; this one has its place again");
    }

    /// <summary>Moments at which a process may be killed, made by hand.</summary>
    [Theory]
    [InlineData("while it is put aside")]
    [InlineData("when it is aside")]
    [InlineData("when the new run has begun")]
    [InlineData("while it is put back")]
    public void A_kill_at_any_moment_can_be_settled(string moment)
    {
        Directory.CreateDirectory(Replaced);
        void Aside(string part) => Directory.Move(Path.Combine(Run, part), Path.Combine(Replaced, part));
        Aside("checkpoints");
        if (moment != "while it is put aside")
        {
            Aside("metrics.jsonl");
            Aside("report.html");
            File.Copy(Path.Combine(Run, "config.json"), Path.Combine(Replaced, "config.json"));
        }
        if (moment is "when the new run has begun" or "while it is put back")
        {
            var config = File.ReadAllText(Path.Combine(Run, "config.json"));
            File.WriteAllText(Path.Combine(Run, "config.json"), config.Replace("\"seed\": 0", "\"seed\": 9"));
            File.WriteAllText(Path.Combine(Run, "tokenizer.json"), "{}");
            File.WriteAllText(Path.Combine(Run, "metrics.jsonl"), "");
            Directory.CreateDirectory(Path.Combine(Run, "checkpoints", ".unfinished-00000020"));
            Directory.CreateDirectory(Path.Combine(Run, ".unfinished-source"));
            File.WriteAllText(Path.Combine(Run, ".unfinished-source", "config.json"), "{}");
        }
        if (moment == "while it is put back")
        {
            Directory.Delete(Path.Combine(Run, "checkpoints"), true);
            Directory.Delete(Path.Combine(Run, ".unfinished-source"), true);
            File.Delete(Path.Combine(Run, "metrics.jsonl"));
            File.Delete(Path.Combine(Run, "tokenizer.json"));
            File.Move(Path.Combine(Replaced, "config.json"), Path.Combine(Run, "config.json"), overwrite: true);
            Directory.Move(Path.Combine(Replaced, "checkpoints"), Path.Combine(Run, "checkpoints"));
        }
        Resumes("this one has its place again");
    }

    /// <summary>The old run was finished, so that going on with it changes nothing but its report.</summary>
    void Resumes(string warning)
    {
        var resumed = MoeCommand.Run("train", "--resume", Run);
        Assert.Equal(0, resumed.ExitCode);
        Assert.Contains(warning, Assert.Single(resumed.Error.TrimEnd('\n').Split('\n')));
        static IEnumerable<string> Kept(string hash) => hash.Split('\n').Where(l => !l.StartsWith("report.html", StringComparison.Ordinal));
        Assert.Equal(Kept(Trained.Value.Hash), Kept(Hash(Run)));
    }

    [Theory]
    [InlineData(".replaced")]
    [InlineData(".removed")]
    public void A_kill_after_the_new_run_has_saved_keeps_the_new_one(string name)
    {
        Directory.CreateDirectory(Path.Combine(Run, name, "checkpoints", "step-00000009"));
        File.WriteAllText(Path.Combine(Run, name, "config.json"), "{}");
        var resumed = MoeCommand.Run("train", "--resume", Run);
        Assert.Equal((0, ""), (resumed.ExitCode, resumed.Error));
        Assert.False(Directory.Exists(Path.Combine(Run, name)));
        Assert.NotEmpty(Directory.GetDirectories(Path.Combine(Run, "checkpoints"), "step-00000004"));
    }

    public void Dispose() => _workspace.Dispose();
}
