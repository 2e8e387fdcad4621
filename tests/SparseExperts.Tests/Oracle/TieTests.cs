using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Equal logits give equal scores exactly, so that a tie rule is checked from claimed logits alone; under an open rule another of equals is undecided, in
/// claimed experts and in tokens in slots alike.
/// </summary>
public sealed class TieTests
{
    static Outcome Check(string dialect, JsonObject parameters, params CaseTensor[] tensors)
    {
        int groups = tensors[0].Size(0), size = tensors[0].Size(1);
        using var backend = new ScalarBackend<Tracked>();
        var x = new CaseTensor("x", "F32", [groups, size, 1], new double[groups * size]);
        return CaseCheck.Run(Case.Create(dialect, "eval", [x, .. tensors], parameters), backend).Outcome;
    }

    static CaseTensor Logits(int experts, params double[] values) => new("claim.logits", "F32", [1, values.Length / experts, experts], values);
    static CaseTensor Experts(int k, params double[] values) => new("claim.expert", "I32", [1, values.Length / k, k], values);
    static CaseTensor Tokens(int experts, params double[] values) => new("claim.token", "I32", [1, experts, values.Length / experts], values);

    public static TheoryData<string> Ruled() =>
        [.. BuiltIn.All.Where(d => d is { Router: RouterForm.Linear, Selection: Selection.TopK, K: 1, CorrectionBias: false, Policy: Policy.All }
            && d.Ties != TieRule.Unspecified && d.RouterPolicy != RouterPolicy.GumbelLogits && d.DropPolicy != DropPolicy.Random).Select(d => d.Name)];

    [Theory, MemberData(nameof(Ruled))]
    public void A_known_rule_decides_among_equal_logits(string dialect)
    {
        var right = BuiltIn.Named(dialect).Ties == TieRule.Highest ? 3 : 1;
        Assert.Equal(Outcome.Agrees, Check(dialect, [], Logits(4, 0, 1, -1, 1), Experts(1, right)));
        Assert.Equal(Outcome.Differs, Check(dialect, [], Logits(4, 0, 1, -1, 1), Experts(1, 4 - right)));
    }

    [Fact]
    public void An_open_rule_leaves_equals_open_and_nothing_else()
    {
        JsonObject K(int k) => new() { ["k"] = k };
        Assert.Equal(Outcome.Agrees, Check("hf.mixtral", K(1), Logits(3, 1, 1, 0), Experts(1, 0)));
        Assert.Equal(Outcome.Undecided, Check("hf.mixtral", K(1), Logits(3, 1, 1, 0), Experts(1, 1)));
        Assert.Equal(Outcome.Differs, Check("hf.mixtral", K(1), Logits(3, 1, 1, 0), Experts(1, 2)));
        // Both of two equals: as a set nothing is open where the order of choices is.
        Assert.Equal(Outcome.Agrees, Check("fastmoe.naive", K(2), Logits(3, 1, 1, 0), Experts(2, 1, 0)));
    }

    /// <summary>Token 0 ties between experts 0 and 1, token 1 wants expert 2; one slot each.</summary>
    [Fact]
    public void Tokens_in_slots_follow_the_rules_of_experts_and_slots()
    {
        JsonObject One() => new() { ["k"] = 1, ["capacity_factor"] = 1.0, ["score"] = "softmax" };
        var logits = Logits(3, 1, 1, 0, 0, 1, 2);
        Assert.Equal(Outcome.Agrees, Check("megatron.topk", One(), logits, Tokens(3, 0, -1, 1)));
        Assert.Equal(Outcome.Undecided, Check("megatron.topk", One(), logits, Tokens(3, -1, 0, 1)));
        Assert.Equal(Outcome.Differs, Check("megatron.topk", One(), logits, Tokens(3, 0, 1, -1)));
        Assert.Equal(Outcome.Differs, Check("megatron.topk", One(), logits, Tokens(3, 0, 0, 1)));
        Assert.Equal(Outcome.Differs, Check("megatron.topk", One(), logits, Tokens(3, -1, -1, 1)));
        // A known rule: lowest.
        JsonObject Lowest() => new() { ["capacity"] = 1 };
        Assert.Equal(Outcome.Agrees, Check("mesh.switch", Lowest(), logits, Tokens(3, 0, -1, 1)));
        Assert.Equal(Outcome.Differs, Check("mesh.switch", Lowest(), logits, Tokens(3, -1, 0, 1)));
    }

    [Fact]
    public void A_dropped_choice_that_ties_may_have_asked_another_expert()
    {
        // Tokens 0 and 1 want expert 0, token 2 ties between 0 and 1. One slot an expert: token 2 sits with expert 1, or was dropped by expert 0.
        JsonObject One() => new() { ["k"] = 1, ["capacity"] = 1, ["score"] = "softmax", ["drop_policy"] = "position" };
        var logits = Logits(2, 2, 0, 2, 0, 1, 1);
        Assert.Equal(Outcome.Agrees, Check("megatron.topk", One(), logits, Tokens(2, 0, -1)));
        Assert.Equal(Outcome.Undecided, Check("megatron.topk", One(), logits, Tokens(2, 0, 2)));
        Assert.Equal(Outcome.Differs, Check("megatron.topk", One(), logits, Tokens(2, 0, 1)));
    }

    [Fact]
    public void Experts_that_choose_keep_the_rule_among_equal_tokens()
    {
        JsonObject Two() => new() { ["capacity"] = 1, ["k"] = 1 };
        var logits = Logits(2, 1, 0, 1, 0, 0, 0);
        Assert.Equal(Outcome.Agrees, Check("zhou.expert_choice", Two(), logits, Tokens(2, 0, 2)));
        Assert.Equal(Outcome.Differs, Check("zhou.expert_choice", Two(), logits, Tokens(2, 1, 2)));
    }

    [Fact]
    public void A_table_of_other_choices_is_refused()
    {
        var asked = Case.Create("roller.hash", "eval",
        [
            new("x", "F32", [1, 2, 1], new double[2]), new("experts.wi", "F32", [4, 1, 1], new double[4]), new("experts.wo", "F32", [4, 1, 1], new double[4]),
            new("router.table", "I32", [3, 4], [0, 1, 2, 3, 1, 2, 3, 0, 2, 3, 0, 1]), new("token_ids", "I32", [1, 2], [0, 2]), Experts(1, 0, 2),
        ]);
        using var backend = new ScalarBackend<Tracked>();
        Assert.Contains("4 columns", Assert.Throws<CaseException>(() => CaseCheck.Run(asked, backend)).Message);
    }

    [Fact]
    public void A_loss_that_a_dialect_lacks_is_refused_in_a_whole_sentence()
    {
        var loss = new CaseTensor("claim.loss.balance", "F32", [1], [1]);
        string Refusal(string dialect, CaseTensor claim) => Assert.Throws<CaseException>(() => Check(dialect, [], Logits(3, 1, 0, 0), claim)).Message;
        CaseTensor Named(string name) => loss with { Name = $"claim.loss.{name}" };
        const string remedy = "remove the claim, or name a dialect that has it (as ";
        Assert.Contains($"hf.llama4 has no auxiliary losses in mode eval; {remedy}", Refusal("hf.llama4", loss));
        Assert.Contains($"hf.mixtral has no loss 'z' in mode eval, it has balance; {remedy}", Refusal("hf.mixtral", Named("z")));
        Assert.Contains("no dialect has a loss of that name, near it are balance, ", Refusal("hf.mixtral", Named("balanse")));
        Assert.Contains("it is there in mode train; name that mode", Refusal("megablocks.dropless", loss));
        Assert.Contains("set the parameter sequence_balance_coefficient", Refusal("megatron.topk", Named("sequence_balance")));
    }
}
