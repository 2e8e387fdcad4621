using System.Text.Json;
using Xunit;

namespace SparseExperts.Tests.EndToEnd;

public sealed class SelfTestTests
{
    static readonly string[] Small = ["selftest", "--max-size", "24", "--dialect", "mesh.switch"];

    [Fact]
    public void The_processor_has_the_bits_of_the_definition()
    {
        var result = MoeCommand.Run([.. Small]);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("ok    op       Gemm A·B ", result.Output);
        Assert.Contains("ok    training mesh.switch                  10 steps, the definition's bits", result.Output);
        Assert.EndsWith("all tests passed", result.Output.TrimEnd());
    }

    [Fact]
    public void Other_bits_are_held_to_their_bounds_and_a_line_is_an_object()
    {
        var result = MoeCommand.Run([.. Small, "--backend", "scalar-double", "--json"]);
        Assert.Equal(0, result.ExitCode);
        var tests = result.Output.Trim().Split('\n').Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.All(tests, test => Assert.True(test.GetProperty("passed").GetBoolean()));
        Assert.Contains(tests, test => test.GetProperty("name").GetString() == "Gemm A·B" && test.GetProperty("same_bits").GetInt32() < test.GetProperty("cases").GetInt32());
        Assert.Contains(tests, test => test.GetProperty("kind").GetString() == "training" && test.GetProperty("worst_share").ValueKind == JsonValueKind.Null);
    }

    [Theory]
    [InlineData("--max-size 0", "--max-size 0: at least 1")]
    [InlineData("--max-size 1 --dialect nobody", "nobody")]
    [InlineData("--backend nobody", "--backend nobody: unknown")]
    public void Bad_input_is_one_line(string options, string expected)
    {
        var result = MoeCommand.Run(["selftest", .. options.Split(' ')]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
    }
}
