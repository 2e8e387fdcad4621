using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Xml.Linq;
using SparseExperts.Oracle;
using SparseExperts.Runs;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Files and folders that must not hurt: nothing hangs, aborts or takes the verdicts of others with it, and no terminal obeys.</summary>
public sealed class HostileInputTests : IDisposable
{
    readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    /// <summary>A good case of three tokens, two of whose names can be chosen.</summary>
    string Good(string name, string dialect = "hf.mixtral")
    {
        CaseTensor x = new("x", "F32", [1, 1, 1], [1]), router = new("router.weight", "F32", [2, 1], [1, 2]);
        CaseTensor logits = new("claim.logits", "F32", [1, 1, 2], [1, 2]);
        Case.Create(dialect, "eval", [x, router, logits]).Save(_workspace.At(name));
        return _workspace.At(name);
    }

    /// <summary>The same with a piece of its header replaced.</summary>
    string Changed(string name, string from, string to)
    {
        var bytes = File.ReadAllBytes(Good(name));
        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        var header = Encoding.UTF8.GetString(bytes, 8, length);
        Assert.Contains(from, header);
        var changed = Encoding.UTF8.GetBytes(header.Replace(from, to, StringComparison.Ordinal));
        File.WriteAllBytes(_workspace.At(name), [.. BitConverter.GetBytes((long)changed.Length), .. changed, .. bytes[(8 + length)..]]);
        return _workspace.At(name);
    }

    string Pipe(string name)
    {
        using var made = Process.Start("mkfifo", [_workspace.At(name)]);
        made.WaitForExit();
        return _workspace.At(name);
    }

    static void Refused(string expected, params string[] call)
    {
        using var process = MoeCommand.Start(call);
        Assert.True(process.WaitForExit(60_000), "it hangs");
        var error = process.StandardError.ReadToEnd();
        Assert.Equal(2, process.ExitCode);
        Assert.Contains(expected, Assert.Single(error.TrimEnd('\n').Split('\n')));
    }

    [Fact]
    public void Pipes_and_devices_are_not_waited_for()
    {
        var pipe = Pipe("pipe");
        Refused("pipe or a device", "check", pipe);
        Refused("pipe or a device", ["train", "--preset", "tiny", "--steps", "1", "--text", pipe, "--out", _workspace.At("run")]);
        Refused("pipe or a device", ["train", "--preset", "tiny", "--steps", "1", "--text", "/dev/zero", "--out", _workspace.At("run")]);
        Refused("pipe or a device", "dialects", "--config", pipe);
    }

    /// <summary>A report to /dev/null took its place.</summary>
    [Fact]
    public void Pipes_and_devices_are_not_replaced_and_links_are_followed()
    {
        var (pipe, good) = (Pipe("pipe"), Good("good.safetensors"));
        Refused("pipe or a device", "check", good, "--junit", pipe);
        Refused("pipe or a device", "report", good, "--out", pipe);
        File.WriteAllText(_workspace.At("page.xml"), "old");
        File.CreateSymbolicLink(_workspace.At("link.xml"), _workspace.At("page.xml"));
        Assert.Equal(0, MoeCommand.Run("check", good, "--junit", _workspace.At("link.xml")).ExitCode);
        Assert.NotNull(new FileInfo(_workspace.At("link.xml")).LinkTarget);
        Assert.StartsWith("<testsuites", File.ReadAllText(_workspace.At("page.xml")));
    }

    [Fact]
    public void A_limit_on_the_size_of_files_is_said_and_keeps_the_run_that_was_to_be_replaced()
    {
        if (!OperatingSystem.IsLinux()) return;
        Assert.Equal(0, MoeCommand.Run(_workspace.Tiny("run", "--steps", "2")).ExitCode);
        var before = _workspace.CheckpointHash("run");
        var moe = Path.Combine(AppContext.BaseDirectory, "moe.dll");
        // Without this the runtime itself maps a file that is larger.
        string[] limited = ["-c", "ulimit -f 60; exec dotnet \"$@\"", "sh", moe, .. _workspace.Tiny("run", "--steps", "3", "--force")];
        using var process = MoeCommand.StartProcess("sh", limited, environment: ("DOTNET_EnableWriteXorExecute", "0"));
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(2, process.ExitCode);
        Assert.Single(error.TrimEnd('\n').Split('\n'));
        Assert.Equal(before, _workspace.CheckpointHash("run"));
    }

    [Fact]
    public void Links_in_a_circle_and_pipes_in_a_folder_are_passed_over()
    {
        Directory.CreateDirectory(_workspace.At("cases"));
        Good("cases/good.safetensors");
        Pipe("cases/pipe.npz");
        foreach (var name in (string[])["a", "b"]) Directory.CreateSymbolicLink(_workspace.At($"cases/{name}"), ".");
        var result = MoeCommand.Run(["check", _workspace.At("cases")]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Single(result.Output.TrimEnd('\n').Split('\n'));
    }

    [Fact]
    public void A_link_that_leads_nowhere_is_named()
    {
        Directory.CreateDirectory(_workspace.At("texts"));
        File.WriteAllText(_workspace.At("texts/a.txt"), new string('a', 500));
        File.CreateSymbolicLink(_workspace.At("texts/lost.txt"), "gone.txt");
        Refused("the link lost.txt leads to gone.txt, which is not there", ["train", "--preset", "tiny", "--steps", "1", "--text", _workspace.At("texts")]);
    }

    [Fact]
    public void A_case_names_no_file_as_its_dialect()
    {
        File.WriteAllText(_workspace.At("d.json"), "{\"secret\": \"password\"}");
        var path = Changed("a.safetensors", "\"dialect\":\"hf.mixtral\"", $"\"dialect\":{JsonSerializer.Serialize(_workspace.At("d.json"))}");
        var result = MoeCommand.Run(["check", path]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("its dialect is the name of a file", result.Error);
        Assert.DoesNotContain("secret", result.Error);
    }

    [Theory]
    [InlineData("\"mode\":\"eval\"", "\"mode\":\"eval\",\"mode\":\"train\"", "metadata 'mode' stands twice")]
    [InlineData("\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\"", "has 'dtype' twice")]
    public void What_stands_twice_in_a_header_is_refused(string from, string to, string expected) =>
        Refused(expected, "check", Changed("a.safetensors", from, to));

    [Fact]
    public void A_bad_file_does_not_take_the_others_with_it()
    {
        var (good, bad) = (Good("a.safetensors"), Changed("b.safetensors", "\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\""));
        foreach (var command in (string[])["check", "identify"])
        {
            var result = MoeCommand.Run([command, bad, good, "--json"]);
            Assert.Equal((2, ""), (result.ExitCode, result.Error));
            var first = JsonDocument.Parse(result.Output.Split('\n')[0]).RootElement;
            Assert.Equal(["file", "error"], first.EnumerateObject().Select(p => p.Name));
            Assert.Equal(bad, first.GetProperty("file").GetString());
            Assert.Contains(command == "check" ? "\"verdict\":\"agrees\"" : "\"nearest\"", result.Output);
        }
    }

    [Fact]
    public void Numbers_that_are_none_are_refused_as_options()
    {
        Refused("capacity_factor cannot be \"nan\"", "check", Good("a.safetensors", "mesh.switch"), "--set", "capacity_factor=nan");
        Refused("capacity_multiple cannot be \"nan\"", "check", Good("a.safetensors", "mesh.switch"), "--set", "alignment=nan");
    }

    /// <summary>Escapes that clear a screen, marks that turn text, and what XML cannot hold.</summary>
    [Fact]
    public void Names_reach_a_terminal_and_a_report_written_out()
    {
        var path = Good("a\u001b[2J\u202eb.safetensors", "{\"like\": \"hf.mixtral\", \"name\": \"x\\u202ey\\uffff\"}");
        var result = MoeCommand.Run(["check", path, "--junit", _workspace.At("junit.xml")]);
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains(@"a\u001b[2J\u202eb.safetensors  [x\u202ey", result.Output);
        Assert.DoesNotContain(result.Output, c => c is '\u001b' or '\u202e');
        Assert.Contains(@"x\u202ey\uffff", XDocument.Load(_workspace.At("junit.xml")).Descendants("testcase").Single().Attribute("classname")!.Value);
        // In JSON it is the name itself.
        Assert.Equal(path, JsonDocument.Parse(MoeCommand.Run(["check", path, "--json"]).Output).RootElement.GetProperty("file").GetString());
    }

    [Theory]
    [InlineData("\"seconds\":1e300")]
    [InlineData("\"seconds\":-1")]
    [InlineData("\"seconds\":1,\"load\":[null]")]
    public void Metrics_that_cannot_be_are_passed_over(string fields)
    {
        var path = _workspace.At("metrics.jsonl");
        File.WriteAllText(path, $"{{\"step\":1,\"seconds\":0.5}}\n{{\"step\":2,{fields}}}\n");
        Assert.Equal(1, Assert.Single(MetricsFile.Read(path)).Step);
    }

    [Fact]
    public void Steps_without_end_are_trained_until_they_are_stopped()
    {
        using var process = MoeCommand.StartToBeStopped(_workspace.Tiny("run", "--steps", "9223372036854775807", "--checkpoint-every", "5"));
        while (!process.HasExited && !Directory.Exists(_workspace.At("run/checkpoints/step-00000005"))) process.WaitForExit(20);
        MoeCommand.Interrupt(process);
        Assert.True(process.WaitForExit(60_000));
        Assert.Equal(130, process.ExitCode);
    }

    [Theory]
    [InlineData("\"preset\": \"tiny\"", "\"preset\": null")]
    [InlineData("\"checkpoint_every\": 500", "\"checkpoint_every\": 0")]
    [InlineData("\"threads\": 1", "\"threads\": 1, \"threads\": 2")]
    [InlineData("\"optimizer\": \"adam_w\"", "\"optimizer\": 0")]
    [InlineData("\"text\": \"", "\"text\": \"\\u0000")]
    public void Configurations_of_runs_that_cannot_be_are_refused(string from, string to)
    {
        Assert.Equal(0, MoeCommand.Run(_workspace.Tiny("run", "--steps", "1")).ExitCode);
        var path = _workspace.At("run/config.json");
        var config = File.ReadAllText(path);
        Assert.Contains(from, config);
        File.WriteAllText(path, config.Replace(from, to, StringComparison.Ordinal));
        Refused(to.Contains("text", StringComparison.Ordinal) ? "no file has such a name" : "not a usable run configuration", "evaluate", _workspace.At("run"));
    }
}
