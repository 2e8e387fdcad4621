using System.Text.RegularExpressions;
using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>Who may know whom: folders of the library from the bottom to the top, and projects.</summary>
public sealed partial class LayerTests
{
    /// <summary>A folder may use those above it in this list, and no other. Autograd and Sharding are one layer: a tape sums over its shards.</summary>
    static readonly string[][] Layers =
    [
        ["Formats"],
        ["Data"],
        ["Text"],
        ["Autograd", "Sharding"],
        ["Ops"],
        ["Routing"],
        ["Losses"],
        ["Layers"],
        ["Hub"],
        ["Describing", "Oracle", "Models"],
        ["Training"],
        ["Checking"],
        ["Analysis"],
        ["Runs"],
        ["Profiling"],
    ];

    /// <summary>
    /// What each project may reference. The contract stands alone, backends know nothing else (the definition excepted, nothing of the product knows them), and
    /// the cards lie above the definition: who is bound to the contract is not bound to its cases.
    /// </summary>
    static readonly Dictionary<string, string[]> Projects = new()
    {
        ["SparseExperts.Abstractions"] = [],
        ["SparseExperts.Cpu"] = ["SparseExperts.Abstractions"],
        ["SparseExperts.Scalar"] = ["SparseExperts.Abstractions"],
        ["SparseExperts.Cuda"] = ["SparseExperts.Abstractions"],
        ["SparseExperts.Cuda.Emulator"] = ["SparseExperts.Abstractions", "SparseExperts.Cuda"],
        ["SparseExperts.Cuda.ManagedCuda"] = ["SparseExperts.Abstractions", "SparseExperts.Cuda", "CudaBlas.Declarations", "ManagedCuda.Declarations"],
        ["SparseExperts.Cards"] = ["SparseExperts.Abstractions", "SparseExperts.Scalar"],
        ["SparseExperts"] = ["SparseExperts.Abstractions"],
        ["SparseExperts.Cli"] = ["SparseExperts", "SparseExperts.Cards", "SparseExperts.Cpu", "SparseExperts.Scalar"],
        ["SparseExperts.Conformance"] = ["SparseExperts", "SparseExperts.Abstractions", "SparseExperts.Cards", "SparseExperts.Scalar"],
        ["SparseExperts.Conformance.Mutants"] = ["SparseExperts.Cards", "SparseExperts.Cuda.Emulator", "SparseExperts.Scalar"],
        ["SparseExperts.SamplePlugin"] = ["SparseExperts.Abstractions", "SparseExperts.Scalar"],
    };

    /// <summary>A folder that a using directive names, or that stands before a type: <c>Routing.Gates.Dense(</c>.</summary>
    static readonly Regex Use = new(
        $@"^using SparseExperts\.(\w+)|(?<![\w.])({string.Join("|", Layers.SelectMany(layer => layer))})\.[A-Z]\w+[.(]",
        RegexOptions.Multiline);

    [GeneratedRegex(@"ProjectReference Include=""[^""]*?([\w.]+)\.csproj""(?![^>]*Plugin)")]
    private static partial Regex Reference();

    public static TheoryData<string> Folders => [.. Layers.SelectMany(layer => layer)];

    [Fact]
    public void Every_folder_of_the_library_has_its_layer() =>
        Assert.Equal(Layers.SelectMany(l => l).Order(), FoldersOf("reference/SparseExperts").Where(name => name is not ("bin" or "obj")).Order());

    static IEnumerable<string> FoldersOf(string folder) =>
        Directory.GetDirectories(Path.Combine(Repository.Root, folder)).Select(path => Path.GetFileName(path));

    [Theory, MemberData(nameof(Folders))]
    public void A_folder_uses_what_lies_below_it(string folder)
    {
        var own = folder is "Autograd" or "Sharding" ? Layers.First(layer => layer.Contains(folder)) : [folder];
        var allowed = Layers.TakeWhile(layer => !layer.Contains(folder)).SelectMany(layer => layer).Concat(own).ToHashSet();
        var known = Layers.SelectMany(l => l).ToHashSet();
        foreach (var file in Directory.GetFiles(Path.Combine(Repository.Root, "reference/SparseExperts", folder), "*.cs", SearchOption.AllDirectories))
            foreach (Match use in Use.Matches(File.ReadAllText(file)))
            {
                var used = use.Groups[1].Success ? use.Groups[1].Value : use.Groups[2].Value;
                Assert.True(!known.Contains(used) || allowed.Contains(used), $"{folder}/{Path.GetFileName(file)} uses {used}, which lies above it");
            }
    }

    [Fact]
    public void Every_project_of_the_product_and_its_backends_has_its_place()
    {
        var projects = ((string[])["reference", "backends"]).SelectMany(FoldersOf);
        Assert.Empty(projects.Except(Projects.Keys));
    }

    [Fact]
    public void A_project_references_what_lies_below_it()
    {
        foreach (var (project, allowed) in Projects)
        {
            var file = Directory.GetFiles(Repository.Root, $"{project}.csproj", SearchOption.AllDirectories).Single();
            var referenced = Reference().Matches(File.ReadAllText(file)).Select(m => m.Groups[1].Value).ToArray();
            Assert.True(referenced.All(allowed.Contains), $"{project} references {string.Join(", ", referenced.Except(allowed))}");
        }
    }
}
