using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Routing;

/// <summary>How many groups a batch makes, and what is added to it where it makes none.</summary>
public sealed class GroupingTests
{
    static Dialect Flax(int size, int replicas) => BuiltIn.Named("flax.tokens_choose_masked") with { GroupSize = size, Replicas = replicas };

    /// <summary>flaxformer moe_layers_test.py, and its arithmetic by hand.</summary>
    [Theory]
    [InlineData(32, 16, 4, 2, 8)]
    [InlineData(32, 16, 2, 1, 2)]
    [InlineData(32, 32, 2, 1, 2)]
    [InlineData(32, 64, 2, 1, 2)]
    [InlineData(2048, 4096, 8, 1, 8)]
    [InlineData(96, 10, 4, 1, 12)]
    public void Flaxformer_starts_at_its_experts_and_stays_a_multiple_of_them(int tokens, int size, int experts, int replicas, int expected) =>
        Assert.Equal(expected, Grouping.Count(Flax(size, replicas), tokens, 1, experts));

    [Fact]
    public void Every_built_in_dialect_of_flaxformer_splits_like_it() =>
        Assert.All(BuiltIn.All.Where(d => d.Name.StartsWith("flax.", StringComparison.Ordinal)), d => Assert.Equal(8, Grouping.Count(d, 2048, 4, 8)));

    [Theory]
    [InlineData(3, 5, 3, 8)]        // 24 and 20 tokens hold no fewer than 15: longer sequences add 9, more of them 5·8 − 15
    [InlineData(4, 6, 4, 6)]
    [InlineData(7, 8, 7, 8)]
    [InlineData(1, 9, 1, 16)]
    [InlineData(5, 4, 6, 4)]        // one more sequence adds 4 tokens, longer ones 20
    public void Zero_tokens_are_added_where_fewer_do(int sequences, int length, int moreSequences, int longer) =>
        Assert.Equal((moreSequences, longer), Grouping.Padding(Flax(16, 1), sequences, length, 8));

    [Fact]
    public void A_batch_without_groups_is_refused_in_a_line() =>
        Assert.Contains("replicas · E = 8 must divide them", Assert.Throws<RoutingException>(() => Grouping.Count(Flax(16, 2), 30, 1, 4)).Message);

    [Theory]
    [InlineData("""{"like": "mesh.switch", "replicas": 2}""", "replicas 2")]
    public void Splits_that_contradict_each_other_are_refused(string dialect, string what) =>
        Assert.Contains(what, Assert.Throws<DialectException>(() => DialectFile.Parse(dialect, "test")).Message);

    /// <summary>
    /// Three sequences of five tokens for four experts: one more sequence adds less than longer ones, twenty are routed and fifteen come back.
    /// </summary>
    [Theory]
    [InlineData("flax.tokens_choose_masked")]
    [InlineData("flax.tokens_choose_scatter")]
    [InlineData("flax.experts_choose")]
    public void Added_tokens_are_routed_and_cut_off(string dialect)
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var config = new ModelConfig { Width = 8, HeadWidth = 8, Layers = 1, Hidden = 8, Experts = 4, Context = 8, Dialect = BuiltIn.Named(dialect) };
        var model = new LanguageModel(tape, config, 1);
        var result = model.Forward([.. Enumerable.Range(0, 15).Select(i => i * 7 % 11)], 3, true, new(1, 1));
        var layer = Assert.Single(result.Sparse);
        Assert.Equal((15, 15, 15, 15), (result.Logits.Rows, layer.Output.Rows, layer.Logits.Rows, layer.Plan.Tokens));
        Assert.Equal(20, layer.Inputs!.Plan.Tokens);
        Assert.Equal(4, layer.Inputs.Plan.Groups);
    }
}
