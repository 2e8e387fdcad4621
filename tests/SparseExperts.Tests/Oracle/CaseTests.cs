using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Calls of the real libraries, recorded by running them: every claim is recomputed from the claims before it. SPARSEEXPERTS_CASES names
/// another folder of such files.
/// </summary>
public sealed class CaseTests
{
    static string Folder => Environment.GetEnvironmentVariable("SPARSEEXPERTS_CASES") is { Length: > 0 } folder
        ? folder
        : Path.Combine(AppContext.BaseDirectory, "Oracle", "cases");

    public static TheoryData<string> Files()
    {
        var files = Directory.GetFiles(Folder, "*.safetensors", SearchOption.AllDirectories);
        if (files.Length > 0) return [.. files.Select(f => Path.GetRelativePath(Folder, f)).Order(StringComparer.Ordinal)];
        throw new InvalidOperationException($"{Folder}: no cases; set SPARSEEXPERTS_CASES to a folder of .safetensors files");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Agrees_with_the_recorded_call(string file)
    {
        var recorded = Case.Load(Path.Combine(Folder, file));
        using var backend = new ScalarBackend<Tracked>();
        var verdict = CaseCheck.Run(recorded, backend);
        Assert.NotEmpty(verdict.Stages);
        var wrong = verdict.Stages.Where(s => s.Outcome == Outcome.Differs).Select(s => $"{s.Stage}: {s.First}");
        Assert.True(verdict.Culprit is null, string.Join("\n", wrong.Prepend(recorded.Note)));
    }
}
