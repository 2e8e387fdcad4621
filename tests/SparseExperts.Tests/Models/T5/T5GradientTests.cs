using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

/// <summary>Every parameter of both stacks against central differences of the whole model in double, as in <see cref="LanguageModelTests"/>.</summary>
public sealed class T5GradientTests
{
    static T5Config Variant(string name) => name switch
    {
        "dense" => T5Batches.Tiny with { Experts = 0 },
        "gated, head of its own" => T5Batches.Tiny with { Gated = true, Activation = Activation.GeluTanh, TiedHead = false },
        "dropout" => T5Batches.Tiny with { Dropout = 0.2, ExpertDropout = 0.3 },
        "every block sparse" => T5Batches.Tiny with { EncoderSparseStep = 1, DecoderSparseStep = 1 },
        var dialect => T5Batches.Tiny with { Dialect = Moved(BuiltIn.Named(dialect)) },
    };

    /// <summary>Losses large enough to be seen, and nothing that no difference quotient sees.</summary>
    static Dialect Moved(Dialect d) => d with { StraightThrough = false, BalanceCoefficient = 0.1, ZCoefficient = 0.1 };

    [Theory]
    [InlineData("dense", true)]
    [InlineData("gated, head of its own", false)]
    [InlineData("dropout", true)]
    [InlineData("every block sparse", true)]
    [InlineData("mesh.switch", true)]
    [InlineData("hf.switch.v4", true)]
    [InlineData("flax.tokens_choose_masked", true)]
    [InlineData("hf.mixtral", true)]
    [InlineData("clark.rl_r", false)]
    public void Gradients_match_central_differences(string variant, bool padded)
    {
        var config = Variant(variant);
        using var backend = new ScalarBackend<Float64>();
        var tape = new Tape(backend);
        var model = new T5Model(tape, config, new StartValues(5));
        var (batch, objective, pass) = (T5Batches.Of(config, 3, 7, padded), new NextToken(), new Pass { Training = true, Streams = new(5), Step = 1 });
        var routes = Array.Empty<int>();
        var constant = config.Experts > 0 && config.Dialect.TrainingExtra == TrainingExtra.Reinforce;
        tape.Backward(Loss());
        var held = routes;
        var gradients = model.Parameters.Select(p => backend.ToDoubles(p.Gradient)).ToArray();
        tape.Reset();

        var stays = true;
        for (var p = 0; p < model.Parameters.Count; p++)
            for (var i = 0; i < gradients[p].Length; i += 1 + gradients[p].Length / 4)
            {
                var h = 2e-4;
                while (h > 1e-9 && Slope(p, i, h) is var _ && !stays) h /= 4;
                double coarse = Slope(p, i, h), fine = Slope(p, i, h / 2);
                var tolerance = Math.Abs(coarse - fine) + 2e-15 / h;
                var place = $"{model.Parameters[p].Name}[{i}]";
                Assert.True(Math.Abs(gradients[p][i] - fine) <= tolerance, $"{place}: {gradients[p][i]:R}, differences {fine:R} ± {tolerance:R}");
            }

        Tensor Loss()
        {
            var result = model.Forward(batch, pass);
            routes = [.. result.Sparse.SelectMany(s => s.Plan.Expert.Concat(s.Plan.Slot))];
            // A reward is a constant of its loss, which no difference quotient knows.
            if (constant) return SparseExperts.Ops.Op.SumColumns(tape, objective.Losses(tape, batch, result), 0.1);
            return objective.Compute(tape, model, batch, result, pass).Loss;
        }

        double Slope(int p, int i, double h)
        {
            double At(double shift)
            {
                var value = model.Parameters[p].Value;
                var numbers = backend.ToDoubles(value);
                numbers[i] += shift;
                backend.Write(value, numbers);
                var result = backend.ToDoubles(Loss().Value)[0];
                stays &= routes.AsSpan().SequenceEqual(held);
                tape.Reset();
                numbers[i] -= shift;
                backend.Write(value, numbers);
                return result;
            }
            stays = true;
            return (At(h) - At(-h)) / (2 * h);
        }
    }
}
