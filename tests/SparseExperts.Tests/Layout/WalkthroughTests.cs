using System.Text.RegularExpressions;
using SparseExperts.Cpu;
using SparseExperts.Describing;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>docs/walkthrough.md shows what the command prints, and the files that it points at are there.</summary>
public sealed partial class WalkthroughTests
{
    static string Printed(string dialect)
    {
        using var backend = new CpuBackend(1);
        return Walkthrough.Of(BuiltIn.Named(dialect), backend);
    }

    [GeneratedRegex(@"^```\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"   \(([\w/]+\.cs)\)$", RegexOptions.Multiline)]
    private static partial Regex StageFile();

    [Fact]
    public void The_document_shows_every_stage_as_it_is_printed()
    {
        var blocks = Block().Matches(File.ReadAllText(Repository.At("docs/walkthrough.md"))).Select(m => m.Groups[1].Value.TrimEnd());
        Assert.Equal(Printed("mesh.switch"), string.Join("\n\n", blocks));
    }

    [Fact]
    public void Every_stage_has_its_file()
    {
        var files = StageFile().Matches(Printed("mesh.switch")).Select(m => m.Groups[1].Value).ToArray();
        Assert.Equal(11, files.Length);
        Assert.All(files, file => Assert.True(File.Exists(Repository.At($"reference/SparseExperts/{file}")), file));
    }

    /// <summary>Five tokens want expert 0, which has four slots: the last of them is dropped; token 0's gate and output by hand.</summary>
    [Fact]
    public void The_numbers_are_those_of_a_hand()
    {
        var lines = Printed("mesh.switch").Split('\n');
        string After(string title, int line) => lines[Array.FindIndex(lines, l => l.StartsWith(title, StringComparison.Ordinal)) + 1 + line];
        var gate = Math.Exp(2) / (Math.Exp(2) + Math.Exp(1) + Math.Exp(-3));
        Assert.Equal("  4", After("capacity", 0));
        Assert.Equal("  token 5: x", After("slots", 5));
        Assert.Equal(FormattableString.Invariant($"  token 0:{gate,9:0.0000}"), After("gates", 0));
        Assert.Equal(FormattableString.Invariant($"  token 0:{2 * gate,9:0.0000}{gate,9:0.0000}"), After("y,", 0));
        Assert.Equal("  token 5:   0.0000   0.0000", After("y,", 5));
    }

    [Theory]
    [InlineData("vmoe.soft")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("mesh.top_2")]
    public void A_layer_that_needs_more_is_refused_in_a_line(string dialect) =>
        Assert.Contains("choose mesh.switch", Assert.Throws<DialectException>(() => Printed(dialect)).Message);
}
