using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using SparseExperts.Analysis;
using SparseExperts.Describing;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;
using Xunit;

namespace SparseExperts.Tests.Analysis;

/// <summary>The page of all dialects is one well-formed file that names each of them once, explains it, and loads nothing.</summary>
public sealed class DialectPageTests
{
    static readonly string Html = DialectPage.Html();
    static readonly XElement Page = Parse();

    static XElement Parse()
    {
        using var reader = XmlReader.Create(new StringReader(Html), new() { DtdProcessing = DtdProcessing.Ignore });
        return XElement.Load(reader);
    }

    static JsonObject Data => JsonNode.Parse(Page.Descendants("script").First(s => (string?)s.Attribute("id") == "data").Value)!.AsObject();

    [Fact]
    public void Every_dialect_has_a_link_of_its_own_and_ids_come_once()
    {
        var ids = Page.Descendants().Select(e => (string?)e.Attribute("id")).OfType<string>().ToArray();
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(BuiltIn.All, d => Assert.Contains(d.Name, ids));
        var targets = Page.Descendants("a").Select(a => (string)a.Attribute("href")!).ToArray();
        Assert.All(targets, t => Assert.Contains(t[1..], ids));
        Assert.Equal(DialectClass.All.Count, Page.Descendants("article").Count());
        Assert.All(ModelTypes.All.Where(t => BuiltIn.Find(t.Dialect) is not null), t => Assert.Contains($"model_type {t.Name}", Page.Value));
    }

    [Fact]
    public void Nothing_is_loaded_from_anywhere()
    {
        Assert.DoesNotMatch(new Regex(@"https?://|url\(|@import|fetch\(|XMLHttpRequest|import\(", RegexOptions.IgnoreCase), Html);
        Assert.DoesNotContain(Page.Descendants(), e => e.Attribute("src") is not null || e.Name.LocalName is "link" or "iframe" or "img" or "object" or "base");
    }

    [Fact]
    public void What_is_compared_is_what_the_dialects_hold()
    {
        var data = Data;
        var axes = data["axes"]!.AsArray().Select(a => a!.AsObject()).ToDictionary(a => (string)a["name"]!);
        Assert.Equal(DialectAxis.All.Select(a => a.Name), axes.Keys);
        Assert.Equal(Pipeline.Names, axes.Values.Select(a => (string)a["stage"]!).Distinct().OrderBy(s => Pipeline.Names.ToList().IndexOf(s)));
        foreach (var dialect in BuiltIn.All)
            foreach (var axis in DialectAxis.All)
            {
                var shown = (string)(data["dialects"]![dialect.Name]![axis.Name] ?? axes[axis.Name]["default"])!;
                Assert.Equal(axis.Format(dialect) ?? (axis.IsFormat ? "as the tokens" : "not set"), shown);
            }
    }

    [Fact]
    public void A_rule_shows_its_axes_its_capacity_and_its_example()
    {
        var rule = Page.Descendants("article").First(a => a.Descendants("h3").Any(h => (string?)h.Attribute("id") == "mesh.switch"));
        Assert.Contains("S·cf / E", rule.Value);
        Assert.Contains(DialectText.WorkedExample(BuiltIn.Named("mesh.switch")).Describe().ReplaceLineEndings("\n"), rule.Value.ReplaceLineEndings("\n"));
        var alias = Page.Descendants("div").First(d => d.Elements("h4").Any(h => (string?)h.Attribute("id") == "hf.deepseek_v32"));
        Assert.Equal(["group_mask", "scaling_factor"], alias.Element("table")!.Descendants("th").Select(t => t.Value));
    }

    [Fact]
    public void Classes_hold_every_dialect_once_and_members_with_nothing_of_their_own_are_equal()
    {
        Assert.Equal(BuiltIn.All.Select(d => d.Name).Order(), DialectClass.All.SelectMany(c => c.Members).Select(d => d.Name).Order());
        Assert.Equal("hf.deepseek_v3", DialectClass.Of("hf.kimi_linear").Rule.Name);
        Assert.Equal("hf.mixtral", DialectClass.Of("hf.minimax").Rule.Name);
        Assert.Empty(DialectClass.Of("hf.minimax").Differences(BuiltIn.Named("hf.minimax")));
        Assert.All(DialectClass.All, c => Assert.All(c.Members.Where(m => m.RuleOf is null), m => Assert.Empty(c.Differences(m))));
    }

    [Theory]
    [InlineData("hf.mixtral", "no capacity: nothing is dropped.")]
    [InlineData("mesh.switch", "For S = 150, E = 8, k = 1: 23 in training, 37 in evaluation.")]
    public void Capacity_arithmetic_in_words(string name, string expected) => Assert.EndsWith(expected, CapacityText.Of(BuiltIn.Named(name)));

    [Fact]
    public void Capacity_has_words_for_every_dialect() => Assert.All(BuiltIn.All, d => Assert.NotEmpty(CapacityText.Of(d)));
}
