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
        var product = Assert.Single(tests, test => test.GetProperty("name").GetString() == "Gemm A·B");
        Assert.True(product.GetProperty("same_bits").GetInt32() < product.GetProperty("cases").GetInt32());
        Assert.Contains(tests, test => test.GetProperty("kind").GetString() == "training" && test.GetProperty("worst_share").ValueKind == JsonValueKind.Null);
    }

    [Fact]
    public void A_precision_is_held_to_its_own_bound()
    {
        var result = MoeCommand.Run(["selftest", "--max-size", "20", "--parts", "ops", "--backend", "cuda-emulated", "--precision", "bf16", "--json"]);
        Assert.True(result.ExitCode == 0, result.Output);
        var lines = result.Output.Trim().Split('\n').Select(line => JsonDocument.Parse(line).RootElement);
        var tests = lines.ToDictionary(test => test.GetProperty("name").GetString()!);
        Assert.True(tests["Gemm A·B"].GetProperty("same_bits").GetInt32() < tests["Gemm A·B"].GetProperty("cases").GetInt32());
        Assert.Equal(tests["Softmax"].GetProperty("cases").GetInt32(), tests["Softmax"].GetProperty("same_bits").GetInt32());
    }

    [Fact]
    public void Parts_are_tested_by_themselves_and_speed_is_measured()
    {
        var speed = MoeCommand.Run(["selftest", "--parts", "speed", "--max-size", "64"]);
        Assert.Equal(0, speed.ExitCode);
        Assert.DoesNotContain("ok ", speed.Output);
        Assert.Contains("default preset", speed.Output);
        Assert.DoesNotContain("passed", speed.Output);
        var training = MoeCommand.Run(["selftest", "--parts", "training", "--dialect", "mesh.switch"]).Output;
        Assert.Contains("ok    training mesh.switch", training);
        Assert.DoesNotContain(" op ", training);
        Assert.Equal(2, MoeCommand.Run(["selftest", "--parts", "luck"]).ExitCode);
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
