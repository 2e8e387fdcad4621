using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Ops;
using Xunit;

namespace SparseExperts.Tests.Fixtures;

/// <summary>
/// What PyTorch computed, file by file. SPARSEEXPERTS_FIXTURES names another folder of such files.
/// </summary>
public sealed class FixtureTests
{
    static string Folder => Environment.GetEnvironmentVariable("SPARSEEXPERTS_FIXTURES") is { Length: > 0 } folder
        ? folder
        : Path.Combine(AppContext.BaseDirectory, "Fixtures", "data");

    public static TheoryData<string> Files()
    {
        var files = Directory.GetFiles(Folder, "*.safetensors").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal).ToArray();
        if (files.Length > 0) return [.. files];
        throw new InvalidOperationException($"{Folder}: no fixtures; set SPARSEEXPERTS_FIXTURES to a folder of .safetensors files");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Agrees_with_the_recorded_numbers(string file)
    {
        using var fixture = new Fixture(Path.Combine(Folder, file));
        switch (fixture.Op)
        {
            case not null when fixture.DType is not null: NarrowFixtures.Check(fixture); break;
            case "adamw": OptimizerFixtures.AdamW(fixture); break;
            case "adafactor": OptimizerFixtures.Adafactor(fixture); break;
            case "schedule": OptimizerFixtures.Schedule(fixture); break;
            case "t5_relative_bucket": Buckets(fixture); break;
            case "attention": AttentionFixtures.Attention(fixture); break;
            case "rotary": AttentionFixtures.Rotary(fixture); break;
            default: new FixtureCall(fixture).Check((tape, input) => Differentiable(fixture, tape, input)); break;
        }
    }

    static (string, Tensor)[] Differentiable(Fixture fixture, Tape tape, Func<string, Tensor> input) => fixture.Op switch
    {
        "layer_norm" => [("y", tape.LayerNorm(input("x"), input("weight"), input("bias"), fixture.Number("eps")))],
        "rms_norm" => [("y", tape.RmsNorm(input("x"), input("weight"), fixture.Number("eps")))],
        "relu" => [("y", tape.Activate(Activation.Relu, input("x")))],
        "gelu_erf" => [("y", tape.Activate(Activation.GeluErf, input("x")))],
        "gelu_tanh" => [("y", tape.Activate(Activation.GeluTanh, input("x")))],
        "silu" => [("y", tape.Activate(Activation.Silu, input("x")))],
        "sigmoid" => [("y", tape.Activate(Activation.Sigmoid, input("x")))],
        "tanh" => [("y", tape.Activate(Activation.Tanh, input("x")))],
        "softplus" => [("y", tape.Activate(Activation.Softplus, input("x")))],
        "softmax" => [("y", tape.Softmax(input("x")))],
        "log_softmax" => [("y", tape.LogSoftmax(input("x")))],
        "logsumexp" => [("y", tape.LogSumExp(input("x")))],
        "cross_entropy" => [("y", CrossEntropy(fixture, tape, input("logits")))],
        "embedding" => [("y", tape.GatherRows(input("weight"), tape.Upload(fixture.Integers("in.ids"))))],
        "gated_ffn" => [("y", GatedFeedForward(fixture, tape, input))],
        _ => throw new NotSupportedException($"no op '{fixture.Op}' among the fixtures that this library knows"),
    };

    static Tensor CrossEntropy(Fixture fixture, Tape tape, Tensor logits)
    {
        var labels = fixture.Integers("in.labels");
        var smoothing = fixture.NumberOrNull("label_smoothing") ?? 0;
        var factor = fixture.Text("reduction").StartsWith("mean", StringComparison.Ordinal) ? 1.0 / labels.Count(l => l != -100) : 1;
        return tape.SumColumns(tape.CrossEntropy(logits, tape.Upload(labels), smoothing), factor);
    }

    /// <summary>The recorder keeps weights [out, in], hence the transposed products.</summary>
    static Tensor GatedFeedForward(Fixture fixture, Tape tape, Func<string, Tensor> input)
    {
        var kind = fixture.Text("activation") switch
        {
            "silu" => Activation.Silu,
            "gelu_tanh" => Activation.GeluTanh,
            "gelu" or "gelu_erf" => Activation.GeluErf,
            "relu" => Activation.Relu,
            var other => throw new NotSupportedException($"activation '{other}'"),
        };
        var hidden = tape.Gated(kind, tape.Linear(input("x"), input("wi_gate"), transpose: true), tape.Linear(input("x"), input("wi"), transpose: true));
        return tape.Linear(hidden, input("wo"), transpose: true);
    }

    static void Buckets(Fixture fixture)
    {
        var relative = fixture.Integers("in.relative_position");
        foreach (var name in fixture.Names("out."))
        {
            var numbers = System.Text.RegularExpressions.Regex.Matches(name, @"\d+").Select(m => int.Parse(m.Value)).ToArray();
            var expected = fixture.Integers(name);
            for (var i = 0; i < relative.Length; i++)
                Assert.Equal((relative[i], expected[i]), (relative[i], RelativePositions.Bucket(relative[i], numbers[0] == 1, numbers[1], numbers[2])));
        }
    }
}
