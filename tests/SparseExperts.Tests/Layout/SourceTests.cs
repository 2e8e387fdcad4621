using Xunit;

namespace SparseExperts.Tests.Layout;

/// <summary>Sources leave room to read: no line over 160 columns, no file over 400 lines. What a generator writes (*.g.cs) is nobody's reading.</summary>
public sealed class SourceTests
{
    const int Columns = 160, Lines = 400;

    static IEnumerable<string> Sources() => Repository.Files("*.cs").Where(file => !file.EndsWith(".g.cs", StringComparison.Ordinal));

    static IEnumerable<string> LongLines(string file) => File.ReadLines(Repository.At(file)).Index()
        .Where(line => line.Item.Length > Columns)
        .Select(line => $"{file}:{line.Index + 1}: {line.Item.Length} columns");

    [Fact]
    public void No_line_has_more_than_160_columns()
    {
        string[] found = [.. Sources().SelectMany(LongLines)];
        Assert.True(found.Length == 0, $"give these lines names for their parts, or one argument a line:\n{string.Join("\n", found)}");
    }

    [Fact]
    public void No_file_has_more_than_400_lines()
    {
        var counted = Sources().Select(file => (File: file, Lines: File.ReadLines(Repository.At(file)).Count()));
        string[] found = [.. counted.Where(c => c.Lines > Lines).Select(c => $"{c.File}:{Lines + 1}: {c.Lines} lines")];
        Assert.True(found.Length == 0, $"one idea a file; part these:\n{string.Join("\n", found)}");
    }
}
