using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>Sources leave room to read: no line over 160 columns, no file over 400 lines. What a generator writes (*.g.cs) is nobody's reading.</summary>
public sealed class SourceTests
{
    const int Columns = 160, Lines = 400;

    /// <summary>
    /// Files and folders whose lines are still too long. The list only shrinks: what is in order leaves it, and at last the list itself goes.
    /// </summary>
    static readonly string[] NotYet =
    [
        "reference/SparseExperts/Formats",
        "reference/SparseExperts/Describing/CapacityText.cs",
        "reference/SparseExperts/Oracle/CaseCall.cs",
        "reference/SparseExperts/Oracle/Diagnosis.cs",
        "reference/SparseExperts/Oracle/GradientCauses.cs",
        "reference/SparseExperts/Oracle/OutputCauses.cs",
        "reference/SparseExperts/Oracle/OutputSums.cs",
        "reference/SparseExperts/Oracle/OutputVariants.cs",
        "tests/SparseExperts.Tests/Oracle/CausesTests.cs",
    ];

    static IEnumerable<string> Sources() => Repository.Files("*.cs").Where(file => !file.EndsWith(".g.cs", StringComparison.Ordinal));

    static IEnumerable<string> LongLines(string file) => File.ReadLines(Repository.At(file)).Index()
        .Where(line => line.Item.Length > Columns)
        .Select(line => $"{file}:{line.Index + 1}: {line.Item.Length} columns");

    static bool Covers(string entry, string file) => file == entry || file.StartsWith(entry + "/", StringComparison.Ordinal);

    [Fact]
    public void The_sources_are_found() => Assert.InRange(Sources().Count(), 400, int.MaxValue);

    [Fact]
    public void No_line_has_more_than_160_columns()
    {
        string[] found = [.. Sources().Where(file => !NotYet.Any(entry => Covers(entry, file))).SelectMany(LongLines)];
        Assert.True(found.Length == 0, $"give these lines names for their parts, or one argument a line:\n{string.Join("\n", found)}");
    }

    [Fact]
    public void Whoever_is_in_order_leaves_the_list()
    {
        string[] done = [.. NotYet.Where(entry => !Sources().Where(file => Covers(entry, file)).SelectMany(LongLines).Any())];
        Assert.True(done.Length == 0, $"no line of these is too long any more; take them off the list:\n{string.Join("\n", done)}");
    }

    [Fact]
    public void No_file_has_more_than_400_lines()
    {
        var counted = Sources().Select(file => (File: file, Lines: File.ReadLines(Repository.At(file)).Count()));
        string[] found = [.. counted.Where(c => c.Lines > Lines).Select(c => $"{c.File}:{Lines + 1}: {c.Lines} lines")];
        Assert.True(found.Length == 0, $"one idea a file; part these:\n{string.Join("\n", found)}");
    }
}
