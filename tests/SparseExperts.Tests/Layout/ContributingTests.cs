using System.Text.RegularExpressions;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>CONTRIBUTING.md says which places an addition touches: they must be there.</summary>
public sealed partial class ContributingTests
{
    static readonly string[] Text = File.ReadAllLines(Repository.At("CONTRIBUTING.md"));

    /// <summary>A path from the root in backticks: it has a slash, and no spaces; the last part may have a *.</summary>
    [GeneratedRegex(@"`(\.?[\w][\w.-]*(?:/[\w.*-]+)+/?)`")]
    private static partial Regex PathInBackticks();

    static IEnumerable<string> PathsOf(string line) => PathInBackticks().Matches(line).Select(match => match.Groups[1].Value);

    static bool Exists(string path)
    {
        if (path.EndsWith('/')) return Directory.Exists(Repository.At(path));
        var folder = Repository.At(Path.GetDirectoryName(path)!);
        return Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder, Path.GetFileName(path)).Any();
    }

    [Fact]
    public void Every_path_is_there()
    {
        var named = Text.Index().SelectMany(line => PathsOf(line.Item).Select(path => (Line: line.Index + 1, Path: path)));
        string[] missing = [.. named.Where(n => !Exists(n.Path)).Select(n => $"CONTRIBUTING.md:{n.Line}: {n.Path}")];
        Assert.True(missing.Length == 0, $"no such file or folder; say where it is now:\n{string.Join("\n", missing)}");
    }

    [Theory]
    [InlineData("## Add an op", 13)]
    [InlineData("## Add a selection rule", 10)]
    [InlineData("## Add a router with weights", 8)]
    [InlineData("## Add a loss", 8)]
    [InlineData("## Add a dialect", 2)]
    [InlineData("## Add a model type of Hugging Face", 3)]
    [InlineData("## Add a model family", 4)]
    public void Every_kind_of_addition_has_its_table(string title, int places)
    {
        var section = Text.SkipWhile(line => line != title).Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal));
        var rows = section.Where(line => line.StartsWith('|') && PathsOf(line).Any()).ToArray();
        Assert.InRange(rows.Length, places, int.MaxValue);
    }

    /// <summary>What README counts is counted.</summary>
    [Fact]
    public void Readme_has_the_right_counts()
    {
        var text = File.ReadAllText(Repository.At("README.md"));
        var recorded = Directory.EnumerateFiles(Repository.At("tests/SparseExperts.Tests/Oracle/cases"), "*.safetensors", SearchOption.AllDirectories).Count();
        Assert.Contains($"*recorded*: {recorded} calls of", text, StringComparison.Ordinal);
        Assert.Contains($"a space of {DialectAxis.All.Count} named axes", text, StringComparison.Ordinal);
        Assert.Contains($"computes, {BuiltIn.All.Count} of them side by side", text, StringComparison.Ordinal);
    }

    [Fact]
    public void The_entry_that_is_shown_is_an_entry()
    {
        static string Plain(IEnumerable<string> lines) => string.Join('\n', lines.Select(line => line.Trim()));
        var shown = Text.SkipWhile(line => line != "```csharp").Skip(1).TakeWhile(line => line != "```").ToArray();
        Assert.NotEmpty(shown);
        Assert.Contains(Plain(shown), Plain(File.ReadLines(Repository.At("reference/SparseExperts/Routing/Configs/Families/QwenTypes.cs"))));
    }

    [Fact]
    public void A_path_that_is_not_there_is_seen()
    {
        Assert.Equal(["reference/SparseExperts/Nowhere.cs"], PathsOf("| 1 | `reference/SparseExperts/Nowhere.cs` | what |"));
        Assert.False(Exists("reference/SparseExperts/Nowhere.cs"));
        Assert.False(Exists("reference/Nowhere/*.cs"));
        Assert.False(Exists("reference/SparseExperts/Op/"));
    }
}
