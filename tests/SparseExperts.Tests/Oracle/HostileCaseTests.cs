using System.Text;
using System.Text.Json.Nodes;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>Files whose shapes or numbers cannot be: each is refused, or checked, within the memory of a small file.</summary>
public sealed class HostileCaseTests : IDisposable
{
    readonly string _path = Path.GetTempFileName();

    /// <summary>
    /// A good file of three tokens and four experts, with some tensors replaced: name, dtype, shape; what every number's bytes say; without dtype it is
    /// left out.
    /// </summary>
    Case Written(string dialect, string parameters, params (string Name, string DType, long[] Shape, int Fill)[] tensors)
    {
        List<(string Name, string DType, long[] Shape, int Fill)> all =
        [
            ("x", "F32", [1, 3, 2], 0),
            ("router.weight", "F32", [4, 2], 0),
            ("claim.logits", "F32", [1, 3, 4], 0),
        ];
        all.RemoveAll(t => tensors.Any(r => r.Name == t.Name));
        all.AddRange(tensors.Where(t => t.DType.Length > 0));
        var metadata = new JsonObject
        {
            ["format"] = "moe-case/1",
            ["dialect"] = dialect,
            ["mode"] = "eval",
            ["parameters"] = parameters,
        };
        var header = new JsonObject { ["__metadata__"] = metadata };
        List<byte> data = [];
        foreach (var (name, type, shape, fill) in all)
        {
            var begin = data.Count;
            for (long i = 0, n = shape.Aggregate(1L, (a, b) => a * b); i < n; i++) data.AddRange(BitConverter.GetBytes(fill));
            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(begin, data.Count),
            };
        }
        var text = Encoding.UTF8.GetBytes(header.ToJsonString());
        File.WriteAllBytes(_path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. data]);
        return Case.Load(_path);
    }

    [Fact]
    public void A_file_of_which_nobody_knows_how_many_experts_there_are_says_what_is_missing()
    {
        var read = Written("demix.domain", "{}", ("router.weight", "", [], 0), ("claim.logits", "", [], 0), ("claim.expert", "I32", [1, 3, 1], 0));
        using var backend = new ScalarBackend<Tracked>();
        Assert.Contains("nothing says how many experts there are; add ", Assert.Throws<CaseException>(() => CaseCheck.Run(read, backend)).Message);
    }

    [Theory]
    [InlineData("x", new[] { 0L, 0, 0 }, "its G cannot be 0")]
    [InlineData("x", new[] { 1L << 40, 0, 2 }, "its G cannot be 1099511627776")]
    [InlineData("x", new[] { 1L, 3 }, "give it as [G, S, M]")]
    [InlineData("router.weight", new[] { 4L, 3 }, "but x says M = 2")]
    [InlineData("padding", new[] { 3L, 1 }, "but x says G = 1")]
    [InlineData("claim.expert", new[] { 1L, 0, 1L << 40 }, "its S cannot be 0")]
    [InlineData("claim.capacity", new[] { 0L }, "give it as one number")]
    [InlineData("claim.grad.router.weight", new[] { 2L, 4 }, "[E, M] is needed")]
    public void Shapes_that_do_not_fit_are_refused_by_name(string name, long[] shape, string expected) =>
        Assert.Contains(expected, Assert.Throws<CaseException>(() => Written("hf.mixtral", "{}", (name, "F32", shape, 0))).Message);

    [Fact]
    public void A_dialects_name_is_a_name()
    {
        const string escape = "{\"like\": \"hf.mixtral\", \"name\": \"a\\u001b[2Jb\"}";
        Assert.Contains("control characters", Assert.Throws<DialectException>(() => Written(escape, "{}")).Message);
        Assert.Throws<DialectException>(() => Written("{\"like\": \"hf.mixtral\", \"name\": \"\"}", "{}"));
    }

    [Fact]
    public void A_name_that_comes_twice_in_a_dialect_is_refused() =>
        Assert.Contains("not JSON", Assert.Throws<DialectException>(() => Written("{\"like\": \"hf.mixtral\", \"k\": 1, \"k\": 2}", "{}")).Message);

    [Fact]
    public void Slots_of_another_number_of_choices_are_refused() =>
        Assert.Contains("claim.slot has 3 numbers, 6 are needed", Refused(Written("lingvo.top2", "{}", ("claim.slot", "I32", [1, 3, 1], 0))));

    [Fact]
    public void Half_a_shared_expert_is_refused()
    {
        var file = Written("hf.deepseek_v3", "{\"groups\": 1, \"groups_kept\": 1, \"k\": 2}",
            ("experts.wi", "F32", [4, 3, 2], 0),
            ("experts.wi_gate", "F32", [4, 3, 2], 0),
            ("experts.wo", "F32", [4, 2, 3], 0),
            ("shared.wi", "F32", [3, 2], 0));
        Assert.Contains("shared.wi without shared.wo; give both", Refused(file));
    }

    static string Refused(Case file)
    {
        using var backend = new ScalarBackend<Tracked>();
        return Assert.Throws<CaseException>(() => CaseCheck.Run(file, backend)).Message;
    }

    /// <summary>0.25 as an expert: the bits of a float where a whole number belongs.</summary>
    [Fact]
    public void Ids_are_whole_numbers()
    {
        var quarter = BitConverter.SingleToInt32Bits(0.25f);
        var refused = Assert.Throws<CaseException>(() => Written("hf.mixtral", "{}", ("claim.expert", "F32", [1, 3, 2], quarter)));
        Assert.Contains("holds 0.25; write whole numbers", refused.Message);
    }

    [Fact]
    public void A_thin_file_cannot_ask_for_a_large_computation()
    {
        var thin = Written("hf.mixtral", "{}", ("x", "F32", [1, 20_000, 1], 0), ("router.weight", "F32", [20_000, 1], 0), ("claim.logits", "", [], 0));
        Assert.Contains("far more numbers than the file holds", Assert.Throws<CaseException>(() => CaseCall.Of(thin)).Message);
    }

    [Theory]
    [InlineData("mesh.switch", "claim.capacity", int.MaxValue)]
    [InlineData("mesh.switch", "claim.capacity", -5)]
    [InlineData("zhou.expert_choice", "claim.capacity", -5)]
    [InlineData("zhou.expert_choice", "claim.capacity", int.MaxValue)]
    public void Absurd_capacities_differ_or_are_refused(string dialect, string name, int value)
    {
        var file = Written(dialect, "{}", (name, "I32", [1], value));
        using var backend = new ScalarBackend<Tracked>();
        try
        {
            Assert.Equal("capacity", CaseCheck.Run(file, backend).Culprit?.Stage);
        }
        catch (RoutingException)
        {
            return;     // no group has so many tokens
        }
    }

    [Theory]
    [InlineData("claim.expert", 99)]
    [InlineData("claim.expert", -7)]
    [InlineData("claim.expert", int.MinValue)]
    public void Experts_that_do_not_exist_are_refused(string name, int value)
    {
        var file = Written("hf.mixtral", "{}", (name, "I32", [1, 3, 2], value));
        using var backend = new ScalarBackend<Tracked>();
        Assert.Contains($"{name} holds {value}, outside −1 … 3", Assert.Throws<CaseException>(() => CaseCheck.Run(file, backend)).Message);
    }

    [Theory]
    [InlineData("hf.mixtral", "claim.y", new[] { 1L, 3, 2 }, "add experts.wi and experts.wo")]
    [InlineData("hf.mixtral", "claim.correction_bias", new[] { 4L }, "cannot be checked")]
    [InlineData("hf.mixtral", "claim.slot_dispatch", new[] { 1L, 3, 4, 1 }, "cannot be checked")]
    public void A_claim_that_nothing_reads_does_not_pass(string dialect, string name, long[] shape, string expected)
    {
        var file = Written(dialect, "{}", (name, "F32", shape, 0));
        using var backend = new ScalarBackend<Tracked>();
        Assert.Contains(expected, Assert.Throws<CaseException>(() => CaseCheck.Run(file, backend)).Message);
    }

    public void Dispose() => File.Delete(_path);
}
