using System.Text.Json.Nodes;
using SparseExperts.Describing;
using SparseExperts.Layers;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>Dialects as data: out, in again, and what is refused with which line.</summary>
public sealed class DialectFileTests
{
    public static TheoryData<string> Names() => [.. BuiltIn.All.Select(d => d.Name)];

    [Theory, MemberData(nameof(Names))]
    public void A_dialect_comes_back_from_its_file_as_it_was(string name)
    {
        var json = DialectFile.ToJson(BuiltIn.Named(name)).ToJsonString();
        Assert.Equal(json, DialectFile.ToJson(DialectFile.Parse(json, "file")).ToJsonString());
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_says_where_it_comes_from_and_breaks_no_rule(string name)
    {
        var dialect = BuiltIn.Named(name);
        Assert.All((string[])[dialect.Summary, dialect.Source], text => Assert.False(string.IsNullOrWhiteSpace(text)));
        Assert.All(dialect.Parameters, p => Assert.True(DialectFile.AxisOf(p) is not null, p));
        DialectRules.Check(dialect, DialectRules.Fitting(dialect, 8));
        DialectRules.CheckTrainable(dialect);
        Assert.Equal(DialectText.Columns.Count, DialectText.Row(dialect).Count);
        Assert.All(DialectText.Row(dialect), cell => Assert.NotEmpty(cell));
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_has_a_worked_example(string name)
    {
        var dialect = BuiltIn.Named(name);
        Selection[] without = [Selection.SlotMixture, Selection.TwoLevel, Selection.TwoLevelCapacity];
        if (!DialectText.HasWorkedExample(dialect)) Assert.Contains(dialect.Selection, without);
        else Assert.Equal(9, DialectText.WorkedExample(dialect).Describe().TrimEnd().Split('\n').Length);
    }

    [Fact]
    public void Every_axis_and_every_value_says_what_it_means()
    {
        Assert.All(DialectAxis.All, axis => Assert.NotEmpty(axis.Text));
        var named = DialectAxis.All.Where(axis => !axis.IsFormat).SelectMany(axis => axis.Values.Select(value => (axis.Name, value)));
        Assert.All(named, v => Assert.False(v.value.Text.Length == 0, $"{v.Name} {v.value.Name}"));
        Assert.Equal(BuiltIn.All.Count, BuiltIn.All.Select(d => d.Name).Distinct().Count());
    }

    /// <summary>What capacities are rounded up to has one axis and two names; a file from when it had two axes has 1 where it was off.</summary>
    [Theory]
    [InlineData("""{ "like": "tutel.topk", "alignment": 8 }""", 8)]
    [InlineData("""{ "like": "tutel.topk", "capacity_multiple": 0, "alignment": 8 }""", 8)]
    [InlineData("""{ "like": "mesh.switch", "capacity_multiple": 4, "alignment": 1 }""", 4)]
    [InlineData("""{ "like": "tutel.topk" }""", 0)]
    public void Alignment_is_the_multiple_of_capacities(string file, int multiple)
    {
        var dialect = DialectFile.Parse(file, "file");
        Assert.Equal(multiple, dialect.CapacityMultiple);
        Assert.DoesNotContain("alignment", DialectFile.ToJson(dialect).Select(axis => axis.Key));
        foreach (var name in (string[])["alignment", "capacity_multiple"])
            Assert.Equal(16, DialectFile.With(BuiltIn.Named("tutel.topk"), new() { [name] = 16 }, "file").CapacityMultiple);
        const string Bad = """{ "like": "tutel.topk", "alignment": -1 }""";
        Assert.Contains("capacity_multiple -1", Assert.Throws<DialectException>(() => DialectFile.Parse(Bad, "file")).Message);
    }

    [Theory]
    [InlineData("vmoe.top_experts_per_item", 4)]
    [InlineData("tutel.topk", 2)]
    [InlineData("lingvo.top2", 8)]
    public void A_table_has_the_multiple_of_capacities(string name, int multiple) =>
        Assert.Contains(DialectText.Row(BuiltIn.Named(name) with { CapacityMultiple = multiple, Capacity = null }), cell => cell.Contains($" ↑{multiple}"));

    [Fact]
    public void A_file_of_a_user_is_as_good_as_a_built_in_one()
    {
        var mine = DialectFile.Parse("""{ "like": "mesh.switch", "name": "mine", "capacity_rounding": "ceil", "padding": "routed" }""", "mine.json");
        var expected = BuiltIn.Named("mesh.switch") with { Name = "mine", CapacityRounding = CapacityRounding.Ceiling, Padding = PaddingRule.Routed };
        Assert.Equal(expected with { Summary = "like mesh.switch, with changes", Source = "mine.json", Evidence = Evidence.Own }, mine);
        var own = DialectFile.Parse("""{ "name": "own", "k": 2, "score": "sigmoid", "normalize": "sum", "group_score": "top2_sum" }""", "own.json");
        Assert.Equal((2, Score.Sigmoid, Normalize.Sum, 2), (own.K, own.Score, own.Normalize, own.GroupScore.Count));
    }

    [Theory]
    [InlineData("{", "not JSON")]
    [InlineData("[]", "a dialect is a JSON object")]
    [InlineData("""{ "k": 2 }""", "no name")]
    [InlineData("""{ "like": "mesh.swich" }""", "dialect 'mesh.swich': unknown; near it are mesh.switch")]
    [InlineData("""{ "like": "mesh.switch", "capacity_facter": 2 }""", "no axis 'capacity_facter'; near it are capacity_factor")]
    [InlineData("""{ "like": "mesh.switch", "score": "sofmax" }""", "score cannot be \"sofmax\"; choose one of softmax, softmax_post")]
    [InlineData("""{ "like": "mesh.switch", "k": 1.5 }""", "k cannot be 1.5; give a whole number")]
    [InlineData("""{ "like": "mesh.switch", "k": 0 }""", "k 0: choose at least 1")]
    [InlineData("""{ "like": "hf.granitemoe", "k": 1 }""", "score softmax_post: choose softmax for k = 1")]
    [InlineData("""{ "like": "hf.mixtral", "k": 1 }""", "normalize sum: choose none for k = 1")]
    [InlineData("""{ "like": "hf.deepseek_v3", "groups": 2, "groups_kept": 3 }""", "groups_kept 3: choose between 1 and groups = 2")]
    [InlineData(
        """{ "like": "mesh.switch", "batch_prioritized": true, "drop_policy": "score" }""",
        "batch_prioritized true: choose false with this drop_policy")]
    [InlineData("""{ "like": "mesh.switch", "parameters": ["kk"] }""", "parameters name 'kk', which is no axis")]
    [InlineData("""{ "like": "mesh.switch", "jitter": 1 }""", "jitter 1: choose within [0, 1)")]
    [InlineData("""{ "like": "mesh.switch", "router": "two_level" }""", "router two_level: choose linear or cosine or ")]
    [InlineData("""{ "like": "mesh.switch", "eval_capacity_factor": 1e999 }""", "eval_capacity_factor Infinity: choose a finite number")]
    [InlineData("""{ "like": "hf.muse_spark", "latent_experts": false }""", "experts_in_norm true: choose false, or set latent_experts")]
    [InlineData("""{ "like": "mesh.switch", "experts_post_norm_epsilon": -1 }""", "experts_post_norm_epsilon -1: choose 0 or more")]
    [InlineData("""{ "like": "mesh.switch", "activation_up_softcap": -1 }""", "activation_up_softcap -1: choose 0 (off) or more")]
    [InlineData("""{ "like": "hf.inkling", "normalize": "none" }""", "shared_in_gates true: choose false, unless normalize is sum")]
    [InlineData("""{ "like": "hf.zaya", "capacity_formula": "per_token" }""", "null_experts 1: choose 0, unless capacity_formula is none")]
    [InlineData("""{ "like": "vmoe.soft", "z_loss": "all_tokens" }""", "z_loss all_tokens: choose none with selection slot_mixture, whose layer does")]
    [InlineData("""{ "like": "vmoe.soft", "balance_coefficient": 0.1 }""", "balance_coefficient 0.1: choose 0 with selection slot_mixture")]
    [InlineData("""{ "like": "vmoe.soft", "noise": "gumbel" }""", "noise gumbel: choose none with selection slot_mixture")]
    [InlineData("""{ "like": "t2t.hierarchical", "noise": "gumbel" }""", "noise gumbel: choose none or normal_softplus with selection two_level")]
    [InlineData("""{ "like": "t2t.hierarchical", "correction_bias": true }""", "correction_bias true: choose false with selection two_level")]
    [InlineData("""{ "like": "dselect_k.static", "noise": "normal_softplus" }""", "noise normal_softplus: choose none with selection binary_code")]
    [InlineData("""{ "like": "mesh.two_level", "token_dropout": 0.1 }""", "token_dropout 0.1: choose 0 with selection two_level_capacity")]
    public void A_file_that_cannot_be_is_refused_with_axis_value_and_remedy(string text, string expected)
    {
        var refusal = Assert.Throws<DialectException>(() => DialectFile.Parse(text, "mine.json"));
        Assert.Contains(expected, refusal.Message);
        Assert.DoesNotContain('\n', refusal.Message);
    }

    [Fact]
    public void Parameters_that_a_library_does_not_have_are_refused()
    {
        var refusal = Assert.Throws<DialectException>(() => DialectFile.With(BuiltIn.Named("hf.mixtral"), new JsonObject { ["capacity_factor"] = 1 }, "case"));
        Assert.Contains("hf.mixtral has no parameter 'capacity_factor'; it has k", refusal.Message);
    }

    [Theory]
    [InlineData("hf.mixtral", 1, "k 2: choose at most the 1 experts")]
    [InlineData("hetu.sam", 5, "groups 2: choose a divisor of the 5 experts")]
    [InlineData("hetu.k_top_1", 3, "k 2: choose a divisor of the 3 experts")]
    [InlineData("t2t.hierarchical", 2, "k 2: choose at most the 1 experts of a group")]
    public void A_number_of_experts_that_contradicts_the_dialect_is_refused(string name, int experts, string expected) =>
        Assert.Contains(expected, Assert.Throws<DialectException>(() => DialectRules.Check(BuiltIn.Named(name), experts)).Message);

    [Fact]
    public void What_a_router_lacks_is_named()
    {
        string Refusal(string name, Func<RouterCall, RouterCall> change)
        {
            var call = new RouterCall { Dialect = BuiltIn.Named(name), Groups = 1, Size = 4, Experts = 2, Training = true, Where = "layer 3" };
            return Assert.Throws<RoutingException>(() => RouterFromScores.Plan(change(call), new float[8])).Message;
        }
        Assert.Contains("layer 3: roller.hash routes by a table; give router.table", Refusal("roller.hash", c => c));
        Assert.Contains("layer 3: roller.hash routes by token id; give one id a token (0 for 4)", Refusal("roller.hash", c => c with { Table = [0, 1] }));
        Assert.Contains("token 0 has id 7, the table has 2 rows", Refusal("roller.hash", c => c with { Table = [0, 1], TokenIds = [7, 0, 0, 0] }));
        Assert.Contains("demix.domain routes by task; give one task id a token", Refusal("demix.domain", c => c));
        Assert.Contains("thor.random draws its experts; give draws.sample", Refusal("thor.random", c => c));
        Assert.Contains("layer 3: mesh.top_2 with policy random needs draws.second; give them or choose another policy", Refusal("mesh.top_2", c => c));
        Assert.Contains("deepspeed.top1 with drop_policy random needs draws.rts", Refusal("deepspeed.top1", c => c));
        Assert.Contains("fairseq.top2 with policy sample needs draws.gumbel", Refusal("fairseq.top2", c => c));
        Assert.Contains("draws.second has 3 numbers, 4 are needed", Refusal("mesh.top_2", c => c with { Draws = new() { Second = new float[3] } }));
        Assert.Contains("lets each expert take 5 of 4 tokens", Refusal("zhou.expert_choice", c => c with { Dialect = c.Dialect with { Capacity = 5 } }));
        var call = new RouterCall { Dialect = BuiltIn.Named("fairseq.base"), Groups = 1, Size = 3, Experts = 2, Training = true };
        var refused = Assert.Throws<RoutingException>(() => RouterFromScores.Plan(call, new float[6]));
        Assert.Contains("3 tokens among 2 experts: the auction never ends", refused.Message);
    }

    [Fact]
    public void Sinkhorn_refuses_what_would_overflow_instead_of_looping()
    {
        var call = new RouterCall { Dialect = BuiltIn.Named("megatron.sinkhorn"), Groups = 1, Size = 2, Experts = 2, Training = true };
        Assert.Contains("overflows float32 (logit 100)", Assert.Throws<RoutingException>(() => RouterFromScores.Plan(call, [100, 1, 2, 3])).Message);
    }
}
