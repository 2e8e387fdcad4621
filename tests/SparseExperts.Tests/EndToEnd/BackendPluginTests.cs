using System.Text.Json;
using SparseExperts.Tests.Cuda;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

/// <summary>Backends as plugins: one that computes, and every way not to be one. A known name that cannot work is one line and exit code 3.</summary>
public sealed class BackendPluginTests : IDisposable
{
    const string NoLibraries = "SPARSEEXPERTS_CUDA_LIBRARIES";

    readonly Workspace _workspace = new(lines: 10);

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public void A_plugin_trains_to_the_bits_of_the_definition()
    {
        Copy("sample-plugins/sample", "sample");
        string[] small = ["--steps", "2", "--batch", "1", "--context", "16"];
        Assert.Equal(0, MoeCommand.RunAlone(_workspace.Tiny("plugin", [.. small, "--backend", "sample", "--plugins", Plugins])).ExitCode);
        Assert.Equal(0, MoeCommand.RunAlone(_workspace.Tiny("built-in", [.. small, "--backend", "scalar"])).ExitCode);
        Assert.Equal(_workspace.CheckpointHash("built-in"), _workspace.CheckpointHash("plugin"));
        Assert.Equal(0, MoeCommand.RunAlone(["evaluate", _workspace.At("plugin"), "--backend", "sample", "--plugins", Plugins]).ExitCode);
    }

    [Fact]
    public void The_list_names_every_backend_and_says_whether_it_can_work()
    {
        Copy("sample-plugins/sample", "sample");
        Directory.CreateDirectory(Path.Combine(Plugins, "empty"));
        var result = MoeCommand.RunAlone(["backends", "--plugins", Plugins, "--json"], (NoLibraries, ""));
        Assert.Equal(0, result.ExitCode);
        var all = JsonDocument.Parse(result.Output).RootElement.EnumerateArray().ToDictionary(b => b.GetProperty("name").GetString()!);
        Assert.Superset(new HashSet<string> { "cpu", "scalar", "scalar-double", "sample", "empty", "cuda" }, all.Keys.ToHashSet());
        Assert.All((string[])["cpu", "sample"], name => Assert.True(all[name].GetProperty("available").GetBoolean()));
        Assert.All((string[])["cpu", "sample", "cuda"], name => Assert.Equal("0.1.0", all[name].GetProperty("version").GetString()));
        Assert.False(all["empty"].GetProperty("available").GetBoolean());
        Assert.Contains("no .dll in it; this is not a plugin", all["empty"].GetProperty("why").GetString());

        var text = MoeCommand.RunAlone(["backends", "--plugins", Plugins]).Output;
        Assert.Contains("the definition as a plugin", text);
        Assert.Contains("empty          not here: ", text);
    }

    /// <summary>The built-in one is used, and it is said that the plugin is not.</summary>
    [Fact]
    public void A_plugin_with_the_name_of_a_built_in_backend_is_passed_over_in_words()
    {
        Copy("sample-plugins/sample", "scalar");
        const string line = "scalar: the backend of that name is built in and is used; give the plugin another name";
        Assert.Contains($"not here: {Plugins}{Path.DirectorySeparatorChar}{line}", MoeCommand.RunAlone(["backends", "--plugins", Plugins]).Output);
        string[] run = ["--steps", "1", "--batch", "1", "--context", "16", "--backend", "scalar", "--plugins", Plugins];
        var trained = MoeCommand.RunAlone(_workspace.Tiny("run", run));
        Assert.Equal(0, trained.ExitCode);
        Assert.Contains($"warning: {Plugins}{Path.DirectorySeparatorChar}{line}", trained.Error);
    }

    [Theory]
    [InlineData("contract", "99", "sample: it was built for version 99 of the contract, this program has 5; build it again")]
    [InlineData("probe", "a cable is loose.", "its probe failed: a cable is loose; the plugin or what it needs is damaged")]
    [InlineData("device", "the device is on fire; put it out", "the device is on fire; put it out")]
    [InlineData("SparseExperts.SamplePlugin.dll", "text", "SparseExperts.SamplePlugin.dll is not a .NET assembly; this is not a plugin, or it is damaged")]
    public void A_plugin_that_cannot_be_used_says_why(string file, string contents, string expected)
    {
        Copy("sample-plugins/sample", "sample");
        File.WriteAllText(Path.Combine(Plugins, "sample", file), contents);
        Refused("sample", expected);
    }

    [Fact]
    public void What_nobody_foresaw_is_one_line_and_70_and_has_its_trace_with_debug()
    {
        Copy("sample-plugins/sample", "sample");
        File.WriteAllText(Path.Combine(Plugins, "sample", "fault"), "two plus two is five");
        string[] call = _workspace.Tiny("run", "--steps", "1", "--backend", "sample", "--plugins", Plugins);
        var result = MoeCommand.RunAlone(call);
        Assert.Equal(70, result.ExitCode);
        Assert.Matches("^moe: a fault of this program [^\n]*two plus two is five[^\n]*please report it as CONTRIBUTING.md says[^\n]*\n$", result.Error);
        result = MoeCommand.RunAlone([.. call, "--debug"]);
        Assert.Equal(70, result.ExitCode);
        Assert.Contains("at SparseExperts.SamplePlugin.SampleProvider.Create", result.Error);
    }

    [Fact]
    public void A_missing_dependency_is_named()
    {
        Copy("plugins/cuda", "gpu");
        File.Delete(Path.Combine(Plugins, "gpu", "SparseExperts.Cuda.dll"));
        Refused("gpu", "SparseExperts.Cuda.dll, which the plugin needs, is missing");
    }

    [Fact]
    public void A_plugin_is_in_a_folder_of_its_name()
    {
        Copy("sample-plugins/sample", "example");
        Refused("example", "it holds the backend sample; the folder must have that name");
    }

    [Fact]
    public void An_assembly_without_a_backend_is_no_plugin()
    {
        Copy("sample-plugins/sample", "sample", "SparseExperts.Scalar.dll");
        Refused("sample", "no class in it is a public backend provider");
    }

    [Theory]
    [InlineData("nowhere", "cpu", "no such folder", 2)]
    [InlineData("", "nonsense", "--backend nonsense: unknown; choose one of cpu, scalar, scalar-double, cuda", 2)]
    public void A_wrong_name_is_refused(string plugins, string backend, string expected, int code)
    {
        string[] more = plugins.Length == 0 ? [] : ["--plugins", _workspace.At(plugins)];
        var result = MoeCommand.RunAlone(_workspace.Tiny("run", ["--steps", "1", "--backend", backend, .. more]));
        Assert.Equal(code, result.ExitCode);
        Assert.Contains(expected, result.Error);
    }

    [Fact]
    public void A_machine_without_a_GPU_says_what_is_missing()
    {
        if (StubLibraries.Folder is not { } stubs) return;
        Assert.Contains("the driver lists no device", Train((NoLibraries, stubs), ("STUB_NO_DEVICE", "1")));
        string With(string name, string value) => Train((NoLibraries, stubs), (name, value));
        Assert.Contains("Stub has compute capability 6.0, 7.0 is needed; use a newer device", With("STUB_MAJOR", "6"));
        Assert.Contains(
            "the driver speaks CUDA 11.8, 12.0 is needed; update the driver to 525 or newer",
            With("STUB_DRIVER_VERSION", "11080"));

        string Train(params (string, string)[] environment)
        {
            var result = MoeCommand.RunAlone(_workspace.Tiny("run", "--steps", "1", "--backend", "cuda"), environment);
            Assert.Equal(3, result.ExitCode);
            return Assert.Single(result.Error.TrimEnd('\n').Split('\n'));
        }
    }

    string Plugins => _workspace.At("plugins");

    void Refused(string backend, string expected)
    {
        var result = MoeCommand.RunAlone(_workspace.Tiny("run", "--steps", "1", "--backend", backend, "--plugins", Plugins));
        Assert.Equal(3, result.ExitCode);
        Assert.Contains(expected, Assert.Single(result.Error.TrimEnd('\n').Split('\n')));
        Assert.False(Directory.Exists(_workspace.At("run")));
    }

    void Copy(string from, string name, string pattern = "*")
    {
        var folder = Directory.CreateDirectory(Path.Combine(Plugins, name)).FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, from), pattern))
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
    }
}
