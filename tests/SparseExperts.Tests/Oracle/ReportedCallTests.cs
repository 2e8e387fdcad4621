using SparseExperts.Oracle;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Literal numbers of other libraries' unit tests, right and wrong layers made from public reports, and recorded calls, on which the oracle was wrong
/// once: bias updates of several groups, ties whose rule is known, balance losses that a module inherits.
/// </summary>
public sealed class ReportedCallTests
{
    static string Folder => Path.Combine(AppContext.BaseDirectory, "Oracle", "reports");

    static readonly HashSet<string> Wrong =
    [
        "r24-torchtitan-wrong-share", "r24-torchtitan-wrong-sign", "megatron_qb_unchanged_12_4_1", "megatron_qb_unchanged_64_8_2",
        "edge-tie-fairseq.top1-1-wrong", "edge-tie-flax.tokens_choose_masked-1-wrong", "edge-tie-hf.switch.v4-1-wrong", "edge-tie-mesh.switch-1-wrong",
    ];

    /// <summary>Logits that are known to within an error, or an exact tie under an open rule that the library settles for another expert.</summary>
    static readonly HashSet<string> Open = ["A-slot-0", "A-token-0", "B-expert-1", "C-expert-0", "C-token-0"];

    public static TheoryData<string> Files() => [.. Directory.GetFiles(Folder).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    static Verdict Check(string file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return CaseCheck.Run(Case.Load(Path.Combine(Folder, file)), backend);
    }

    [Theory, MemberData(nameof(Files))]
    public void Gets_the_verdict_that_the_report_asks_for(string file)
    {
        var (verdict, name) = (Check(file), Path.GetFileNameWithoutExtension(file));
        Assert.Equal(Wrong.Contains(name) ? Outcome.Differs : Open.Contains(name) ? Outcome.Undecided : Outcome.Agrees, verdict.Outcome);
        if (Wrong.Contains(name)) Assert.Equal(name.StartsWith("edge-tie", StringComparison.Ordinal) ? "expert" : "correction_bias", verdict.Culprit!.Stage);
    }

    [Fact]
    public void Every_named_file_is_there() => Assert.All(Wrong.Concat(Open), name => Assert.NotEmpty(Directory.GetFiles(Folder, name + ".*")));
}
