using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

public sealed class TrainerTests
{
    static readonly ModelConfig Model = new() { Context = 16, Width = 16, Layers = 1, Hidden = 16, Experts = 2 };
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 4000).Select(i => (byte)(i % 97))], 16);

    [Fact]
    public void A_batch_whose_gradient_is_not_finite_is_skipped_and_leaves_the_parameters_alone()
    {
        using var backend = new CpuBackend(1);
        var trainer = new Trainer(backend, Model with { Experts = 0 }, new() { Batch = 2, Steps = 10 });
        trainer.Train(Text, 0);
        var norm = trainer.Model.Parameters.Single(p => p.Name == "norm.weight");
        var healthy = backend.ToArray(norm.Value);
        backend.Fill(norm.Value, float.PositiveInfinity);
        var other = trainer.Model.Parameters.Single(p => p.Name == "embedding");
        var before = backend.ToArray(other.Value);
        var result = trainer.Train(Text, 0.1);
        Assert.True(result.Skipped);
        Assert.Equal((2, 1), (trainer.Step, trainer.Skipped));
        Assert.Equal(before, backend.ToArray(other.Value));
        backend.Write(norm.Value, healthy);
        Assert.False(trainer.Train(Text, 0.2).Skipped);
    }

    /// <summary>Whatever ends a step in its middle: no memory of it is kept, and the next step is as if it had not been.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_step_that_fails_leaves_nothing_for_the_next(int accumulate)
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        Trainer Begun() => new(backend, Model, new() { Batch = 2, Steps = 10, Accumulate = accumulate });
        using Trainer failing = Begun(), healthy = Begun();
        foreach (var trainer in (Trainer[])[failing, healthy]) trainer.Train(Text, 0);
        var live = backend.LiveBytes;
        Action<Parameter> fails = _ => throw new InvalidOperationException("in the middle");
        failing.GradientReady += fails;
        Assert.Throws<InvalidOperationException>(() => failing.Train(Text, 0.1));
        Assert.Equal(live, backend.LiveBytes);
        failing.GradientReady -= fails;
        foreach (var trainer in (Trainer[])[failing, healthy]) trainer.Train(Text, 0.1);
        float[][] Of(Trainer trainer) => [.. trainer.Model.Parameters.Select(p => backend.ToArray(p.Value))];
        Assert.Equal(Of(healthy), Of(failing));
    }

    /// <summary>The step has gone wrong before its loss is read, and says so there: nothing is updated, and the next one is whole.</summary>
    [Fact]
    public void An_index_that_an_op_could_not_follow_ends_the_step_before_the_update()
    {
        using var backend = new WrongLabel(new CpuBackend(1));
        var trainer = new Trainer(backend, Model with { Experts = 0 }, new() { Batch = 2, Steps = 10 });
        trainer.Train(Text, 0);
        var before = trainer.Model.Parameters.Select(p => backend.ToArray(p.Value)).ToArray();
        backend.IsWrong = true;
        const string line = "CrossEntropy: index 999 at row 3 is outside 0…255; -100 means none";
        Assert.Equal(line, Assert.Throws<ShapeException>(() => trainer.Train(Text, 0.1)).Message);
        Assert.Equal(before, trainer.Model.Parameters.Select(p => backend.ToArray(p.Value)));
        Assert.Equal(line, Assert.Throws<ShapeException>(() => Evaluation.Run(trainer, Text.HeldOut, 1)).Message);
        backend.IsWrong = false;
        Assert.True(Evaluation.Run(trainer, Text.HeldOut, 1).BitsPerByte > 0);
    }

    /// <summary>A backend whose labels somebody has spoilt on the way.</summary>
    sealed class WrongLabel(IBackend inner) : SparseExperts.Conformance.DelegatingBackend(inner)
    {
        public bool IsWrong { get; set; }

        public override void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
        {
            var spoilt = this.ToArray(labels);
            if (IsWrong) spoilt[3] = 999;
            base.CrossEntropy(logits, this.Upload(spoilt), smoothing, losses, logSums);
        }
    }

    [Fact]
    public void A_trainer_takes_any_batches_and_any_objective()
    {
        using var backend = new CpuBackend(1);
        var objective = new Halved();
        var trainer = new Trainer(backend, Model, new() { Batch = 2, Steps = 10, WarmUp = 0, Rate = 1e-2 }, objective);
        var steps = new Sevens();
        double first = trainer.Train(steps, 0).BitsPerByte, last = 0;
        for (var step = 1; step < 10; step++) last = trainer.Train(steps, 0).BitsPerByte;
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], steps.Asked);
        Assert.True(last < first / 2, $"{first} bits before, {last} after");
        Assert.Equal(last, objective.Last / Math.Log(2), 1e-6);
    }

    /// <summary>Whatever is read, a seven follows.</summary>
    sealed class Sevens : IBatches
    {
        public List<long> Asked { get; } = [];

        public TokenBatch Of(long step)
        {
            Asked.Add(step);
            return new([.. Enumerable.Range(0, 32).Select(i => (int)(i * (step + 3) % 50))], 2) { Labels = [.. Enumerable.Repeat(7, 32)] };
        }
    }

    sealed class Halved : IObjective
    {
        readonly NextTokenLoss _whole = new();

        public double Last { get; private set; }

        public Tensor Losses(Tape tape, TokenBatch batch, ModelResult result) => _whole.Losses(tape, batch, result);

        public Objective Compute(Tape tape, IModel model, TokenBatch batch, ModelResult result, Pass pass)
        {
            var (loss, entropy) = _whole.Compute(tape, model, batch, result, pass);
            Last = tape.Backend.ToArray(entropy.Value)[0];
            return new(tape.Scale(loss, 0.5), entropy);
        }
    }

    [Fact]
    public void NaN_router_scores_are_an_error_that_names_token_and_layer()
    {
        using var backend = new CpuBackend(1);
        var trainer = new Trainer(backend, Model, new() { Batch = 2, Steps = 10 });
        backend.Fill(trainer.Model.Parameters.Single(p => p.Name == "blocks.0.router").Value, float.NaN);
        var error = Assert.Throws<RoutingException>(() => trainer.Train(Text, 0));
        Assert.StartsWith("blocks.0: router score of token 0 for expert 0 is NaN", error.Message);
    }

    [Fact]
    public void The_data_of_a_step_depend_on_seed_and_step_alone()
    {
        int[] a = new int[64], b = new int[64], labels = new int[64];
        Text.Sample(3, 17, 4, 16, a, labels);
        Text.Sample(3, 17, 4, 16, b, labels);
        Assert.Equal(a, b);
        Assert.Equal(a[1..16], labels[..15]);
        Text.Sample(3, 18, 4, 16, b, labels);
        Assert.NotEqual(a, b);
        Assert.All(b, id => Assert.InRange(id, 0, 96));
    }

    [Fact]
    public void The_last_twentieth_of_the_bytes_is_held_out_and_never_sampled()
    {
        var bytes = new byte[2000];
        for (var i = 1900; i < 2000; i++) bytes[i] = 1;
        var text = ByteText.FromBytes("text", bytes, 16);
        Assert.Equal((1900, 100), (text.TrainLength, text.HeldOut.Length));
        int[] inputs = new int[16 * 64], labels = new int[16 * 64];
        for (var step = 0; step < 200; step++)
        {
            text.Sample(1, step, 64, 16, inputs, labels);
            Assert.DoesNotContain(1, inputs);
            Assert.DoesNotContain(1, labels);
        }
    }

    [Fact]
    public void Warm_up_ends_at_the_peak_and_the_cosine_at_its_floor()
    {
        var config = new TrainingConfig { Steps = 1000, Rate = 2, WarmUp = 10, Floor = 0.1 };
        Assert.Equal(0.2, Schedules.Rate(config, 0, 0), 12);
        Assert.Equal(2, Schedules.Rate(config, 9, 0), 12);
        Assert.Equal(0.2, Schedules.Rate(config, 999, 1), 12);
    }
}
