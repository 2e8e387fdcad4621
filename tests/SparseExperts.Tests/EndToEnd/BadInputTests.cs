using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Every refusal is one line on standard error, exit code 2, and leaves the disk as it was.</summary>
public sealed class BadInputTests
{
    public static TheoryData<string, string> Refusals() => new()
    {
        { "train --steps x", "--steps x: give a whole number; see moe train --help" },
        { "train --seed -1", "--seed -1: give a whole number, 0 or more" },
        { "train --rate x", "--rate x: give a number" },
        { "train --optimizer sgd", "--optimizer sgd: choose one of adafactor, adamw" },
        { "train --precision half", "Must be one of: 'exact' 'f32' 'tf32' 'bf16'" },
        { "train --steps 0", "--steps 0: at least 1" },
        { "train --steps 5 --minutes 1", "--steps and --minutes: give one of them" },
        { "train --minutes -1", "--minutes -1: a positive number" },
        { "train --preset huge", "preset 'huge': unknown; choose one of tiny, default" },
        { "train --experts 1", "experts 1: between 2 and 4096" },
        { "train --experts 0", "--experts 0: at least 2" },
        { "train --dense --experts 4", "--dense and --experts: give one of them" },
        { "train --capacity-factor 0", "capacity factor 0: a positive number" },
        { "train --backend cuda9", "--backend cuda9: unknown; choose one of cpu, scalar" },
        { "train --threads -2", "--threads -2: between 1 and 1024" },
        { "train --text nowhere.txt", "nowhere.txt: cannot be read (no such file or folder)" },
        { "train --text empty.txt", "empty.txt: the text is empty" },
        { "train --text short.txt", "short.txt: 30 bytes are too few" },
        { "train --checkpoint-every 0", "--checkpoint-every 0: at least 1 step" },
        { "train --width 30", "width 30 with head width 16" },
        { "train --context 100000", "attention scores, at most" },
        { "train --experts 4000 --width 1600", "numbers in one matrix, at most" },
        { "train --width 1600000", "larger than this program can hold" },
        { "train --batch 0", "batch 0: between 1 and 65536" },
        { "train --nonsense", "--nonsense" },
        { "train --preset switch-tiny --data tasks --text empty.txt", "empty.txt: has no tasks; name a JSONL file" },
        { "train --preset switch-tiny --data tasks --text short.txt", "short.txt, line 1: no JSON" },
        { "train --preset switch-tiny --data tasks --text task.jsonl", "task.jsonl, line 1: has no target, it has input; write {" },
        { "train --resume nowhere", "nowhere: no such folder" },
        { "train --resume .", "holds no run (no config.json)" },
        { "train --resume nowhere --steps 5", "--steps: not with --resume" },
        { "train --out occupied", "occupied: exists and is not empty" },
        { "train --out occupied --force", "holds no run (no config.json), so it is not replaced; name another folder (--out)" },
        { "selftest --parts speed --max-size 8", "--max-size 8: nothing of speed is so small; raise it" },
        { "evaluate nowhere", "nowhere: no such folder" },
        { "generate nowhere --bytes 0", "--bytes 0: between 1 and" },
        { "generate nowhere --length-penalty 2", "--length-penalty: changes nothing without --beams; leave it out" },
        { "generate nowhere --beams 4 --temperature 0.5", "--temperature: changes nothing with --beams, which draw nothing; leave it out" },
        { "generate nowhere --beams 4 --top-k 5", "--top-k: changes nothing with --beams" },
        { "generate nowhere --beams 4 --top-p 0.5", "--top-p: changes nothing with --beams" },
        { "generate nowhere --beams 4 --seed 1", "--seed: changes nothing with --beams" },
        { "generate nowhere --temperature 0 --top-k 5", "--top-k: changes nothing with --temperature 0, which takes the likeliest token; leave it out" },
        { "generate nowhere --temperature 0 --top-p 0.5", "--top-p: changes nothing with --temperature 0" },
        { "generate nowhere --temperature 0 --seed 1", "--seed: changes nothing with --temperature 0" },
        { "distill nowhere", "--dense: is missing; give it, as the dense twin is the one student that there is" },
        { "train --out short.txt/run", "short.txt is no folder; name a place in one (--out)" },
        { "import nowhere --out short.txt/run", "short.txt is no folder; name a place in one (--out)" },
        { "report nowhere", "nowhere: no such folder" },
        { "train --dialect mesh.swich", "dialect 'mesh.swich': unknown; near it are mesh.switch" },
        { "train --dialect nowhere.json", "nowhere.json: cannot be read" },
        { "train --dialect hf.mixtral --capacity-factor 2", "--capacity-factor: hf.mixtral has none" },
        { "train --dialect hetu.sam --experts 5", "hetu.sam: groups 2: choose a divisor of the 5 experts" },
        { "train --dialect mesh.switch --dense", "--dense and --dialect: give one of them" },
        { "dialects nonsense", "dialect 'nonsense': unknown; near it are" },
        { "dialects --json --markdown", "--json: not with --markdown; give one of them" },
        { "dialects mesh --markdown --json", "--json: not with --markdown; give one of them" },
        { "dialects --precision --json --markdown", "--json: not with --markdown; give one of them" },
        { "check nowhere", "nowhere: cannot be opened (no such file)" },
        { "check nowhere/*.npz", "no case files there" },
        { "check short.txt", "short.txt: " },
        { "check short.txt --junit occupied", "occupied: is a folder; name a file" },
        { "check short.txt --junit occupied/no/report.xml", "its folder does not exist; make it first" },
        { "check nowhere --mode both", "--mode both: choose train or eval" },
        { "check nowhere --set k", "--set k: write key=value" },
        { "check nowhere --dialect nonsense", "dialect 'nonsense': unknown" },
        { "identify nowhere", "nowhere: cannot be opened (no such file)" },
        { "probe nonsense --out nowhere", "dialect 'nonsense': unknown; near it are" },
        { "probe hf.mixtral", "--out" },
        { "probe hf.mixtral --out nowhere --mode both", "--mode both: choose train or eval" },
        { "probe dselect_k.static --out nowhere", "case files have no tensors for its router" },
        { "probe hf.mixtral --out short.txt", "short.txt" },
        { "compare nowhere nowhere", "nowhere: cannot be opened (no such file)" },
        { "compare occupied short.txt", "one is a folder, the other is not" },
        { "compare occupied occupied", "no case files there" },
        { "replay nowhere --routes nowhere --out nowhere.npz", "nowhere: cannot be opened (no such file)" },
        { "replay nowhere --routes nowhere --out short.txt", "short.txt: is there already" },
        { "report short.txt", "short.txt: " },
        { "report nowhere.npz", "nowhere.npz: cannot be opened" },
        { "report occupied --mode train", "options are for case files" },
        { "import nowhere", "--out" },
        { "import nowhere --out new", "nowhere: no such folder" },
        { "import occupied --out new", "cannot be read" },
        { "import nowhere --out occupied", "occupied: exists and is not empty" },
        { "export nowhere --out new", "nowhere: no such folder" },
        { "export occupied --out new", "holds no run (no config.json)" },
        { "frobnicate", "frobnicate" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void A_wrong_call_is_refused_with_one_line(string call, string expected)
    {
        using var workspace = new Workspace();
        File.WriteAllBytes(workspace.At("empty.txt"), []);
        File.WriteAllText(workspace.At("short.txt"), new string('a', 30));
        File.WriteAllText(workspace.At("task.jsonl"), "{\"input\": \"\"}");
        Directory.CreateDirectory(workspace.At("occupied"));
        File.WriteAllText(workspace.At("occupied/diary.txt"), "mine");
        var before = Files(workspace.Folder);

        static bool IsPath(string word) => word.EndsWith(".txt", StringComparison.Ordinal)
            || word is "nowhere" or "occupied" or "occupied/no/report.xml" or "short.txt/run" or "new" or "task.jsonl" or ".";
        var arguments = call.Split(' ').Select(word => IsPath(word) ? workspace.At(word) : word);
        var result = MoeCommand.Run([.. arguments]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
        Assert.Single(result.Error.TrimEnd('\n').Split('\n'));
        Assert.Equal(before, Files(workspace.Folder));
    }

    [Theory]
    [InlineData("files", "check", "")]
    [InlineData("--junit", "check", "nowhere", "--junit", "")]
    [InlineData("--text", "evaluate", "nowhere", "--text", "")]
    [InlineData("--tokenizer", "train", "--tokenizer", "")]
    [InlineData("--text", "train", "--text", "")]
    [InlineData("run", "evaluate", "")]
    [InlineData("--config", "dialects", "--config", "")]
    [InlineData("name", "dialects", "")]
    public void What_is_empty_is_refused_by_its_name(string name, params string[] call)
    {
        var result = MoeCommand.Run(call);
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.StartsWith($"moe: {name}: it is empty; give a value", Assert.Single(result.Error.TrimEnd('\n').Split('\n')));
    }

    [Fact]
    public void A_run_is_not_overwritten_without_force()
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
        var before = workspace.CheckpointHash("run");
        Assert.Equal(2, MoeCommand.Run(workspace.Tiny("run", "--steps", "3")).ExitCode);
        Assert.Equal(before, workspace.CheckpointHash("run"));
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "3", "--force")).ExitCode);
        Assert.NotEqual(before, workspace.CheckpointHash("run"));
    }

    [Theory]
    [InlineData("truncated", "damaged")]
    [InlineData("garbage", "damaged")]
    [InlineData("renamed", "no tensor 'embedding'")]
    [InlineData("reshaped", "the model needs F32 [256, 32]")]
    [InlineData("state", "state.json: not a usable checkpoint state")]
    [InlineData("old", "state.json: not a usable checkpoint state (format 1, this program reads format 2)")]
    [InlineData("config", "config.json: not a usable run configuration")]
    [InlineData("text", "is not the text that the run")]
    public void A_damaged_run_is_refused_with_one_line(string damage, string expected)
    {
        using var workspace = new Workspace();
        Assert.Equal(0, MoeCommand.Run(workspace.Tiny("run", "--steps", "2")).ExitCode);
        var checkpoint = Directory.GetDirectories(workspace.At("run/checkpoints")).Single();
        var model = Path.Combine(checkpoint, "model.safetensors");
        var bytes = File.ReadAllBytes(model);
        switch (damage)
        {
            case "truncated": File.WriteAllBytes(model, bytes[..^100]); break;
            case "garbage": File.WriteAllBytes(model, [.. Enumerable.Repeat((byte)0xFF, 500)]); break;
            case "renamed": Replace("\"embedding\"", "\"embeddinh\""); break;
            case "reshaped": Replace("[256,32]", "[32,256]"); break;
            case "state": File.WriteAllText(Path.Combine(checkpoint, "state.json"), "{\"format\": 1"); break;
            case "old":
                File.WriteAllText(Path.Combine(checkpoint, "state.json"), "{\"format\": 1, \"step\": 2, \"skipped\": 0, \"optimizer_steps\": 2}");
                break;
            case "config": File.WriteAllText(workspace.At("run/config.json"), "[]"); break;
            case "text": File.AppendAllText(workspace.TextPath, "more"); break;
        }
        var result = MoeCommand.Run(["evaluate", workspace.At("run")]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
        Assert.Single(result.Error.TrimEnd('\n').Split('\n'));

        void Replace(string from, string to)
        {
            var text = System.Text.Encoding.Latin1.GetString(bytes);
            var at = text.IndexOf(from, StringComparison.Ordinal);
            Assert.True(at > 0);
            File.WriteAllBytes(model, System.Text.Encoding.Latin1.GetBytes(text.Remove(at, from.Length).Insert(at, to)));
        }
    }

    static string[] Files(string folder) => [.. Directory.GetFileSystemEntries(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
}
