using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.T5;

/// <summary>Every parameter of both stacks against <see cref="CentralDifferences"/> of the whole model.</summary>
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
        using var tape = new Tape(backend);
        var model = new T5Model(tape, config, new StartValues(5));
        var (batch, objective, pass) = (T5Batches.Of(config, 3, 7, padded), new NextTokenLoss(), new Pass { Training = true, Streams = new(5), Step = 1 });
        var constant = config.Experts > 0 && config.Dialect.TrainingExtra == TrainingExtra.Reinforce;
        CentralDifferences.Demand(backend, tape, model.Parameters, Loss, numbers: 4);

        (Tensor, int[]) Loss()
        {
            var result = model.Forward(batch, pass);
            int[] routes = [.. result.Sparse.SelectMany(s => s.Plan.Expert.Concat(s.Plan.Slot))];
            // A reward is a constant of its loss, which no difference quotient knows.
            var loss = constant
                ? SparseExperts.Ops.Op.SumColumns(tape, objective.Losses(tape, batch, result), 0.1)
                : objective.Compute(tape, model, batch, result, pass).Loss;
            return (loss, routes);
        }
    }
}
