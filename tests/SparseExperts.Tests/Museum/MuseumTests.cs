using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Museum;

/// <summary>
/// Published bugs of mixture-of-experts code, each rebuilt in a plain layer by replacing one step. The right layer agrees with the dialect, the
/// mutant is caught at the step that was replaced, and where the bug is a point of the dialect space the oracle says which.
/// </summary>
public sealed class MuseumTests
{
    static readonly Exhibit[] All =
    [
        .. SelectionRoom.All, .. GateRoom.All, .. CapacityRoom.All, .. LossRoom.All,
        .. PaddingRoom.All, .. OutputRoom.All, .. GradientRoom.All, .. NumericsRoom.All,
    ];

    /// <summary>Entries that no case file shows, and why.</summary>
    static readonly Dictionary<string, string> NotShown = new()
    {
        ["A23"] = "PR-MoE's learned pair of coefficients (DeepSpeed #2110) has no tensors in the format, "
            + "so that neither its right nor its wrong softmax can be claimed.",
        ["B14"] = "Another order of summation stays within the bound of float32 and is acquitted; "
            + "why another all-to-all backend scores lower (lm-eval #3782) is not known.",
    };

    public static TheoryData<string> Exhibits() => [.. All.Select(e => e.ToString())];
    public static TheoryData<string> Named() => [.. All.Where(e => e.Axis is not null).Select(e => e.ToString())];
    public static TheoryData<string> Acquitted() => [.. Acquittal.All.Select(a => a.ToString())];

    static Exhibit Of(string exhibit) => All.Single(e => e.ToString() == exhibit);

    [Theory, MemberData(nameof(Exhibits))]
    public void The_layer_without_the_bug_agrees(string exhibit)
    {
        var e = Of(exhibit);
        foreach (var asked in e.Inputs)
        {
            var verdict = Workshop.Check(e.Right(asked).Run());
            Assert.True(verdict.Culprit is null, $"{asked.Path}: {verdict.Culprit}");
            bool IsSeen(StageVerdict s) => s.Stage == e.Stage && (s.Outcome == Outcome.Agrees || asked != e.Inputs[0]);
            Assert.Contains(verdict.Stages, s => e.Stage is Exhibit.Refused or "combine" || IsSeen(s));
        }
    }

    [Theory, MemberData(nameof(Exhibits))]
    public void The_bug_is_caught_at_its_step(string exhibit)
    {
        var e = Of(exhibit);
        var claimed = e.Wrong(e.Inputs[0]).Run();
        if (e.Stage == Exhibit.Refused)
        {
            Assert.Contains("outside", Assert.Throws<CaseException>(() => Workshop.Check(claimed)).Message);
            return;
        }
        var verdict = Workshop.Check(claimed);
        Assert.True(e.Stage == verdict.Culprit?.Stage, $"{e.Stage} expected, {verdict.Culprit}");
        Assert.StartsWith($"{e.Stage} is the first stage that departs from {claimed.Dialect.Name}", Diagnosis.Say(claimed, verdict, Explanation.None));
    }

    [Theory, MemberData(nameof(Named))]
    public void A_bug_that_is_a_dialect_of_its_own_is_named(string exhibit)
    {
        var e = Of(exhibit);
        var claimed = e.Wrong(e.Inputs[0]).Run();
        var (name, value) = e.Axis!.Value;
        var explanations = Diagnosis.Explain(claimed, Workshop.Check(claimed), Workshop.Oracle).Changes;
        Assert.True(explanations.Any(c => c.Axis == name && c.Is == value), $"{name} = {value} expected, not among: {string.Join("; ", explanations)}");

        var identity = Identification.Run([.. e.Inputs.Select(asked => e.Wrong(asked).Run())], Workshop.Oracle);
        string[] found = [.. identity.Changes.Select(c => c.Change.ToString()), .. identity.Alternatives];
        var isFound = identity.Left == 0 && found.Any(f => f.StartsWith($"{name} = {value} instead of", StringComparison.Ordinal));
        Assert.True(isFound, $"{name} = {value} expected, {identity.Left} left with {identity.Nearest}: {string.Join("; ", found)}");
    }

    [Theory, MemberData(nameof(Acquitted))]
    public void Right_code_that_looks_wrong_is_acquitted(string acquittal)
    {
        var a = Acquittal.All.Single(e => e.ToString() == acquittal);
        foreach (var asked in a.Inputs)
        {
            var verdict = Workshop.Check(a.Layer(asked).Run());
            // Another of exact equals is what the library leaves open.
            Assert.True(verdict.Outcome == (a.AreEqualsOpen ? Outcome.Undecided : Outcome.Agrees), $"{asked.Path}: {verdict.Outcome} {verdict.Culprit}");
        }
    }

    [Fact]
    public void Every_entry_of_the_museum_is_shown_or_says_why_not()
    {
        string[] entries = [.. Enumerable.Range(1, 35).Select(n => $"A{n}"), .. Enumerable.Range(1, 14).Select(n => $"B{n}")];
        Assert.Equal(entries.Order(), All.Select(e => e.Id).Distinct().Concat(NotShown.Keys).Order());
        Assert.All(NotShown.Values, why => Assert.EndsWith(".", why));
    }

    /// <summary>A35: two calls that differ in their last token alone.</summary>
    [Fact]
    public void Expert_choice_lets_a_later_token_move_an_earlier_one()
    {
        var one = Workshop.Probes("hf.qwen3_moe", ["plain-eval"])[0];
        int width = one.Get("x").Size(-1), prefix = (one.Get("x").Size(1) - 1) * width;
        var other = one.Replaced("x", i => i < prefix ? one.Get("x").Values[i] : 4 - one.Get("x").Values[i]);
        double[] Prefix(PlainLayer layer) => layer.Run().Get("claim.y").Values[..prefix];

        Assert.Equal(Prefix(new QwenLayer(one)), Prefix(new QwenLayer(other)));
        Assert.NotEqual(Prefix(new ExpertsChooseLayer(one)), Prefix(new ExpertsChooseLayer(other)));
        foreach (var asked in (Case[])[one, other])
        {
            var leaks = new ExpertsChooseLayer(asked).Run();
            Assert.Equal("combine", Workshop.Check(leaks).Culprit?.Stage);
            var honest = Case.Create("zhou.expert_choice", "eval", leaks.Tensors, new() { ["activation"] = "silu" });
            Assert.Equal((Outcome.Agrees, Causality.LooksAhead), (Workshop.Check(honest).Outcome, honest.Dialect.Causality));
        }
        Assert.Equal(Causality.Causal, one.Dialect.Causality);
    }

    /// <summary>A1: the loss says the same of a balanced router and of one that sends everything to one expert.</summary>
    [Fact]
    public void A_loss_that_averages_over_the_choices_is_a_constant()
    {
        var e = All.First(e => e.Id == "A1");
        double[] Values(Func<Case, PlainLayer> layer) => [.. e.Inputs.Select(asked => layer(asked).Run().Get("claim.loss.balance").Values[0])];
        Assert.Single(Values(e.Wrong).Distinct());
        Assert.Equal(e.Inputs.Count, Values(e.Right).Distinct().Count());
    }

    /// <summary>A17: p/p and a softmax over one logit do not depend on the router.</summary>
    [Fact]
    public void A_gate_that_is_always_1_gives_the_router_no_gradient()
    {
        foreach (var e in All.Where(e => e.Id == "A17"))
        {
            var asked = e.Inputs[0];
            var parameters = asked.Parameters.DeepClone().AsObject();
            parameters["balance_coefficient"] = 0;
            var withoutLosses = Case.Create(asked.DialectText, asked.Mode, asked.Tensors, parameters);
            Assert.All(e.Wrong(withoutLosses).Run().Get("claim.grad.router.weight").Values, g => Assert.Equal(0, g));
            Assert.Contains(e.Right(withoutLosses).Run().Get("claim.grad.router.weight").Values, g => g != 0);
        }
    }

    /// <summary>B4: what follows from a row of NaN is not for a checker to say; it says where the row is.</summary>
    [Fact]
    public void A_row_of_NaN_is_refused_by_its_token()
    {
        var asked = Workshop.Probes("hf.mixtral", ["plain-eval"])[0];
        var width = asked.Get("x").Size(-1);
        var claimed = new MixtralLayer(asked).Run().Replaced("x", i => i / width == 2 ? double.NaN : asked.Get("x").Values[i]);
        claimed = claimed.Replaced("claim.logits", i => i / (width - 2) == 2 ? double.NaN : claimed.Get("claim.logits").Values[i]).Without("claim.scores");
        Assert.Contains("token 2 for expert 0 is NaN", Assert.Throws<RoutingException>(() => Workshop.Check(claimed)).Message);
    }
}
