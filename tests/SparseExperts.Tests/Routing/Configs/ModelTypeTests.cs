using System.Text.Json.Nodes;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using Xunit;

namespace SparseExperts.Tests.Routing.Configs;

/// <summary>The table of model types against the list of dialects (<c>names.txt</c>), and against those that are built in.</summary>
public sealed class ModelTypeTests
{
    static string[] Names => File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Routing", "Configs", "names.txt"));

    [Fact]
    public void Every_dialect_that_the_table_names_is_on_the_list() => Assert.Empty(ModelTypes.All.Select(t => t.Dialect).Except(Names));

    [Fact]
    public void Every_dialect_that_the_table_names_is_built_in() => Assert.All(ModelTypes.All, t => Assert.NotNull(BuiltIn.Find(t.Dialect)));

    /// <summary>
    /// Those that only some values of a key lead to, too; what every file may say of the experts' non-linearity is no parameter of a dialect.
    /// </summary>
    [Fact]
    public void Every_parameter_that_the_table_names_is_one_of_its_dialect()
    {
        string[] common = ["activation", "activation_alpha", "activation_limit", "router_dtype"];
        Assert.Empty(
            from type in ModelTypes.All
            from setting in type.Settings
            where !common.Contains(setting.Parameter) && BuiltIn.Find(type.Dialect) is { } dialect && !dialect.Parameters.Contains(setting.Parameter)
            select $"{type.Dialect} has no {setting.Parameter}");
    }

    /// <summary>A value that is not printed because the dialect has it by itself is the one that the dialect has.</summary>
    [Fact]
    public void What_is_not_printed_is_the_dialects_own() => Assert.Empty(
        from type in ModelTypes.All
        from setting in type.Settings
        where setting.Unless is not null
        let own = DialectAxis.Find(setting.Parameter)!.ToJson(BuiltIn.Named(type.Dialect))
        where !JsonNode.DeepEquals(own, setting.Unless)
        select $"{type.Dialect}: {setting.Parameter} is {own}, not {setting.Unless}");

    [Fact]
    public void Every_dialect_of_transformers_has_a_model_type() =>
        Assert.Empty(Names.Where(n => n.StartsWith("hf.", StringComparison.Ordinal)).Except(ModelTypes.All.Select(t => t.Dialect)));

    [Fact]
    public void No_two_types_share_a_name_or_a_class()
    {
        static string Letters(string name) => name.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
        var names = ModelTypes.All.SelectMany(t => t.Also.Prepend(t.Name).Select(n => (n: Letters(n), t.Version)));
        Assert.Empty(names.GroupBy(n => n).Where(g => g.Count() > 1).Select(g => g.Key));
        var classes = ModelTypes.All.SelectMany(t => t.Classes.Select(c => (c, t.Version)));
        Assert.Empty(classes.GroupBy(c => c).Where(g => g.Count() > 1).Select(g => g.Key));
    }

    public static TheoryData<string> BuiltInTypes() => [.. ModelTypes.All.Where(t => BuiltIn.Find(t.Dialect) is not null).Select(t => t.Dialect).Distinct()];

    /// <summary>What a configuration says can be said to its dialect: every parameter is one of it, and none contradicts it.</summary>
    [Theory, MemberData(nameof(BuiltInTypes))]
    public void A_built_in_dialect_takes_the_parameters(string dialect)
    {
        foreach (var type in ModelTypes.All.Where(t => t.Dialect == dialect))
        {
            var answer = ConfigFile.Parse(new JsonObject
            {
                ["model_type"] = type.Name,
                ["transformers_version"] = $"{Math.Max(type.Version, 4)}.0.0",
                [type.Experts.Keys[0]] = 64,
                ["num_experts_per_tok"] = type.Name == "zaya" ? 1 : 2,
                ["enable_moe_block"] = true,
            }.ToJsonString(), type.Name);
            var set = DialectFile.With(BuiltIn.Named(dialect), answer.ToJson()["parameters"]!.AsObject(), type.Name);
            Assert.Equal(dialect, set.Name);
        }
    }
}
