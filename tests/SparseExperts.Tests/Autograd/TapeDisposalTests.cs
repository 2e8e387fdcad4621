using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Scalar;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Autograd;

/// <summary>What a tape has rented is the backend's again when it is disposed of, whatever was computed on it.</summary>
public sealed class TapeDisposalTests
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 3000).Select(i => (byte)(97 + i * i % 23))], 8);

    [Theory]
    [InlineData(OptimizerKind.AdamW, 1)]
    [InlineData(OptimizerKind.Adafactor, 1)]
    [InlineData(OptimizerKind.AdamW, 2)]
    public void A_trainer_gives_all_its_memory_back(OptimizerKind optimizer, int accumulate)
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        var dialect = BuiltIn.Named("hf.deepseek_v3") with { K = 2 };
        var model = new ModelConfig { Width = 8, HeadWidth = 8, Layers = 2, Hidden = 8, Experts = 4, Context = 8, Dialect = dialect };
        using (var trainer = new Trainer(backend, model, new() { Batch = 4, Steps = 2, WarmUp = 1, Optimizer = optimizer, Accumulate = accumulate }))
        {
            trainer.Train(Text, 0);
            Evaluation.Run(trainer, Text.HeldOut, 2);
            Generation.Continue(trainer, "ab"u8, 2, 0, 0, 1);
            Assert.True(backend.LiveBytes > 0);
        }
        Assert.Equal(0, backend.LiveBytes);
    }

    [Theory]
    [InlineData("mesh.switch")]
    [InlineData("t2t.hierarchical")]
    [InlineData("vmoe.soft")]
    public void A_check_gives_all_its_memory_back(string dialect)
    {
        using var backend = new CountingBackend(new ScalarBackend<Tracked>());
        var answered = CaseAnswers.Fill(Probes.Of(BuiltIn.Named(dialect), "train")[0].Case, backend);
        Assert.Equal(Outcome.Agrees, CaseCheck.Run(answered, backend).Outcome);
        Assert.Equal(0, backend.LiveBytes);
    }

    [Theory]
    [InlineData("hf.mixtral")]
    [InlineData("lingvo.token_shuffle")]
    public void So_do_pictures_comparisons_and_the_search_for_causes(string dialect)
    {
        List<CountingBackend> backends = [];
        CountingBackend Backend()
        {
            backends.Add(new(new ScalarBackend<Tracked>()));
            return backends[^1];
        }
        using CountingBackend answering = Backend(), drawing = Backend(), comparing = Backend();
        var answered = CaseAnswers.Fill(Probes.Of(BuiltIn.Named(dialect), "train")[0].Case, answering);
        Assert.NotNull(CheckPicture.Of(answered, drawing));
        Assert.Equal(0, RouteComparison.Of("layer", answered, answered, comparing).TokensApart);
        Assert.Equal(0, RowComparison.Of("layer", answered, answered, Backend).Apart);
        var gates = answered.Get("claim.combine");
        var wrong = answered.With(gates with { Values = Array.ConvertAll(gates.Values, g => 3 * g) });
        Assert.NotNull(Causes.On(wrong, CaseCheck.Run(wrong, answering), Backend).Culprit);
        Assert.True(backends.Count > 5);
        Assert.All(backends, backend => Assert.Equal(0, backend.LiveBytes));
    }
}
