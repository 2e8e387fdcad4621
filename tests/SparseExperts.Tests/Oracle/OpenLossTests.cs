using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>A balance loss that takes a top-k of its own may count equals as it likes, and no more than that.</summary>
public sealed class OpenLossTests
{
    static readonly Case Tied = Probes.Of(BuiltIn.Named("hf.mixtral"), "train").First(p => p.Name == "ties-train").Case;

    static CaseTensor[] Losses(string ties)
    {
        using var backend = new ScalarBackend<Float32>();
        var answered = CaseAnswers.Fill(Tied.Under(DialectAxis.Find("ties")!.With(Tied.Dialect, ties, "test")), backend);
        return [answered.Get("claim.loss.balance"), answered.Get("claim.loss.total")];
    }

    static IEnumerable<Outcome> Outcomes(IEnumerable<CaseTensor> losses)
    {
        using var backend = new ScalarBackend<Tracked>();
        var stages = CaseCheck.Run(Tied.With(losses), backend).Stages;
        return stages.Where(s => s.Stage.StartsWith("loss.", StringComparison.Ordinal)).Select(s => s.Outcome).ToArray();
    }

    [Fact]
    public void Other_equals_are_undecided_and_what_no_choice_of_equals_gives_is_wrong()
    {
        CaseTensor[] lowest = Losses("lowest"), highest = Losses("highest");
        Assert.NotEqual(lowest[0].Values, highest[0].Values);
        Assert.All(Outcomes(lowest), o => Assert.Equal(Outcome.Agrees, o));
        Assert.All(Outcomes(highest), o => Assert.Equal(Outcome.Undecided, o));
        Assert.All(Outcomes(lowest.Select(l => l with { Values = [1.25 * l.Values[0]] })), o => Assert.Equal(Outcome.Differs, o));
    }

    /// <summary>No way of settling the ties, tried token by token at random, leaves the range that the check allows.</summary>
    [Fact]
    public void Every_choice_of_equals_is_allowed()
    {
        var logits = Answered().Get("claim.logits");
        int experts = logits.Size(-1), tokens = logits.Values.Length / experts;
        double[][] p = [.. Enumerable.Range(0, tokens).Select(t => Softmax(logits.Values[(t * experts)..((t + 1) * experts)]))];
        for (ulong seed = 0; seed < 200; seed++)
        {
            var counts = new double[experts];
            for (var t = 0; t < tokens; t++)
            {
                double Drawn(int e) => Philox.UniformDouble(new(seed, 0), (ulong)(t * experts + e));
                var ranked = Enumerable.Range(0, experts).OrderByDescending(e => logits.Values[t * experts + e]).ThenBy(Drawn);
                foreach (var e in ranked.Take(2)) counts[e]++;
            }
            var loss = experts * Enumerable.Range(0, experts).Sum(e => counts[e] / tokens * p.Average(row => row[e]));
            Assert.All(Outcomes([new("claim.loss.balance", "F64", [1], [loss])]), o => Assert.NotEqual(Outcome.Differs, o));
        }
    }

    static Case Answered()
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(Tied, backend);
    }

    static double[] Softmax(double[] logits)
    {
        double[] powers = [.. logits.Select(l => Math.Exp(l - logits.Max()))];
        return [.. powers.Select(e => e / powers.Sum())];
    }
}
