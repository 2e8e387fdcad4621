using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Faults that are planted in right answers are caught at their stage, are named, and nothing else is named with certainty. SPARSEEXPERTS_PLANT names more
/// dialects to plant them in.
/// </summary>
public sealed class PlantedFaultTests(ITestOutputHelper output)
{
    static IEnumerable<Planting.Found> In(string dialect, params string[] scenarios) =>
        Probes.Of(BuiltIn.Named(dialect)).Where(p => scenarios.Contains(p.Name))
            .SelectMany(p => Planting.In($"{dialect} {p.Name}", Planting.Answered(p.Case)));

    [Fact]
    public void Faults_are_caught_at_their_stage_and_named_and_nothing_else_is_named_with_certainty()
    {
        string[] more = Environment.GetEnvironmentVariable("SPARSEEXPERTS_PLANT")?.Split(',') ?? [];
        Planting.Found[] found =
        [
            .. In("fairseq.top2", "groups-train"), .. In("vmoe.top_experts_per_item", "overflow-train"), .. In("mesh.switch", "padding-train"),
            .. In("hf.qwen2_moe", "plain-eval"), .. In("hf.longcat_flash", "plain-eval"),
            .. more.SelectMany(name => In(name, "plain-train", "overflow-train", "padding-train", "groups-train", "plain-eval")),
        ];
        foreach (var f in found.Where(f => !f.IsCaught || !f.IsNamed))
            output.WriteLine($"{f.Place}: {f.Fault.Name} [{f.Fault.Stage}]: {f.Verdict.Culprit?.Stage}, {f.First?.What} = {f.First?.Value}");
        var (caught, named, listed) = (found.Count(f => f.IsCaught), found.Count(f => f.IsNamed), found.Count(f => f.IsListed));
        output.WriteLine($"{found.Length} planted: {caught} caught at their stage, {named} named first, {listed} among the causes");
        Assert.True(found.Length > 60, $"{found.Length} faults");
        Assert.Equal(found.Length, caught);
        Assert.Equal(found.Length, listed);
        Assert.Equal(found.Length, named);
        Assert.Empty(found.Where(f => f.IsFalse).Select(f => $"{f.Place}: {f.Fault.Name}"));
    }

    [Fact]
    public void A_right_call_has_no_cause()
    {
        foreach (var dialect in (string[])["lepikhin.gshard", "hf.qwen2_moe", "hf.longcat_flash"])
            foreach (var probe in Probes.Of(BuiltIn.Named(dialect)).Where(p => p.Name is "plain-train" or "overflow-train"))
                Assert.Empty(Planting.Judge(Planting.Answered(probe.Case)).Causes);
    }
}
