using System.Xml;
using System.Xml.Linq;
using SparseExperts.Analysis;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Analysis;

/// <summary>The page of a check shows the verdict, the meetings, the load and the margins of exactly that case.</summary>
public sealed class CheckReportTests
{
    static Case Answered(string dialect, string probe)
    {
        using var backend = new ScalarBackend<Float32>();
        return CaseAnswers.Fill(Probes.Of(BuiltIn.Named(dialect)).First(p => p.Name == probe).Case, backend);
    }

    static Case With(Case file, string axis, string value) => file.Under(DialectAxis.Find(axis)!.With(file.Dialect, value, "test"));

    static (CheckPicture? Picture, string Html) Report(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        var verdict = CaseCheck.Run(file, backend);
        verdict = verdict with { Say = Diagnosis.Say(file, verdict, Explanation.None) };
        var picture = CheckPicture.Of(file, backend);
        return (picture, CheckReport.Html(file, verdict, picture));
    }

    static XElement Parse(string html)
    {
        using var reader = XmlReader.Create(new StringReader(html), new() { DtdProcessing = DtdProcessing.Ignore });
        return XElement.Load(reader);
    }

    static int Count(XElement page, string kind) => page.Descendants().Count(e => (string?)e.Attribute("class") == kind && e.Element("title") is not null);

    [Fact]
    public void The_picture_holds_every_choice_and_marks_what_is_not_as_expected()
    {
        // Three slots more than the implementation gave: the three next choices of expert 0 should have been kept.
        var file = Answered("mesh.switch", "overflow-train");
        var (right, html) = Report(file);
        var page = Parse(html);
        Assert.Equal(right!.Tokens, right.Claimed.Count(m => m != Meeting.Nothing));
        Assert.Equal(right.Claimed, right.Expected);
        Assert.Equal(right.Claimed.Count(m => m == Meeting.Dropped), Count(page, "dropped"));
        Assert.Equal(right.Taken.Sum() + right.Taken.Length, Count(page, "kept") - MarginColumns(page));
        Assert.Equal((0, 0), (Count(page, "kept other"), Count(page, "dropped other")));
        Assert.DoesNotContain("<tr class=\"wrong\">", html);

        var capacity = right.Capacity!.Value;
        var (wrong, wrongHtml) = Report(With(file, "capacity", $"{capacity + 3}"));
        Assert.Equal((capacity, 3), (wrong!.Capacity!.Value, Count(Parse(wrongHtml), "dropped other")));
        Assert.Contains("<tr class=\"wrong\">", wrongHtml);
    }

    static int MarginColumns(XElement page)
    {
        static bool IsMargins(XElement svg) => ((string?)svg.Attribute("aria-label"))?.StartsWith("Margins", StringComparison.Ordinal) == true;
        return page.Descendants("svg").Where(IsMargins).Descendants("rect").Count();
    }

    [Fact]
    public void The_first_departure_is_ringed_where_it_is()
    {
        var (_, html) = Report(With(Answered("hf.mixtral", "plain-eval"), "normalize", "none"));
        var ring = Assert.Single(Parse(html).Descendants("circle"), c => (string?)c.Attribute("class") == "ring");
        Assert.NotNull(ring);
    }

    [Fact]
    public void Margins_are_the_gap_at_the_edge_of_the_choice()
    {
        var file = Answered("hf.mixtral", "plain-eval");
        var (picture, _) = Report(file);
        var scores = file.Get("claim.scores").Values;
        Assert.Equal(picture!.Tokens, picture.Margins.Count);
        Assert.All(picture.Margins, m =>
        {
            var sorted = scores.AsSpan(m.Token * picture.Experts, picture.Experts).ToArray().OrderDescending().ToArray();
            Assert.Equal(sorted[1] - sorted[2], m.Value, 1e-6);
        });
    }

    public static TheoryData<string> Names()
    {
        static bool HasProbes(Dialect d) =>
            d.Selection is not (Selection.BinaryCode or Selection.TwoLevelCapacity or Selection.Batchwise)
            && d.Router != RouterForm.Constant;
        return [.. BuiltIn.All.Where(HasProbes).Select(d => d.Name)];
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_dialect_has_a_page_that_is_well_formed_and_needs_nothing_else(string dialect)
    {
        foreach (var probe in (string[])["plain-train", "padding-last-train"])
        {
            var (_, html) = Report(Answered(dialect, probe));
            Assert.Equal("html", Parse(html).Name.LocalName);
            Assert.DoesNotContain("http", html, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("<script", html);
            Assert.DoesNotMatch(@"url\(|@import|\b(src|href)=", html);
        }
    }

    [Fact]
    public void A_large_case_has_a_small_page_and_hostile_text_is_escaped()
    {
        const int tokens = 4096, experts = 256;
        var logits = Enumerable.Range(0, tokens * experts).Select(i => (double)(float)Philox.Normal(new(3, 0), (ulong)i)).ToArray();
        CaseTensor[] tensors = [new("x", "F32", [1, tokens, 1], new double[tokens]), new("claim.logits", "F32", [1, tokens, experts], logits)];
        var asked = Case.Create("hf.mixtral", "eval", tensors, producer: "<script>alert(1)</script>&\"\u0000\u202e", name: "<b>.safetensors");
        using var backend = new ScalarBackend<Float32>();
        var (_, html) = Report(CaseAnswers.Fill(asked, backend));
        Assert.True(html.Length < 400_000, $"{html.Length} characters");
        Assert.DoesNotContain("<script", html);
        Assert.Contains("&lt;b&gt;.safetensors", html);
        Assert.NotNull(Parse(html));
    }
}
