using SparseExperts.Autograd;
using SparseExperts.Conformance;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>Steps that nobody waits for are those that somebody waits for, to the bit, whatever becomes of one of them.</summary>
public sealed class StepsAheadTests
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 4000).Select(i => (byte)(i * i % 97))], 16);

    static readonly TrainingConfig Training = new() { Batch = 2, Steps = 90, WarmUp = 2, Rate = 1e-2 };

    static ModelConfig Model(string dialect) => new()
    {
        Context = 16,
        Width = 16,
        Layers = 1,
        Hidden = 16,
        Experts = 4,
        SparseEvery = 1,
        Dialect = BuiltIn.Named(dialect),
    };

    /// <summary>A device, as far as a trainer can tell.</summary>
    sealed class Device(IBackend inner) : DelegatingBackend(inner)
    {
        public int Reads { get; private set; }

        public override BackendInfo Info => base.Info with { HasOwnMemory = true };

        public override void Read(Storage from, long offset, Span<float> values)
        {
            Reads++;
            base.Read(from, offset, values);
        }
    }

    /// <summary>A loss that is infinite in some steps, and one that throws in another.</summary>
    sealed class Troubled(long[] infinite, long throws = -1) : IObjective
    {
        readonly NextTokenLoss _usual = new();

        public Tensor Losses(Tape tape, TokenBatch batch, ModelResult result) => _usual.Losses(tape, batch, result);

        public Objective Compute(Tape tape, IModel model, TokenBatch batch, ModelResult result, Pass pass)
        {
            if (pass.Step == throws) throw new RoutingException("no");
            var usual = _usual.Compute(tape, model, batch, result, pass);
            return infinite.Contains(pass.Step) ? usual with { Loss = tape.Scale(usual.Loss, 3e38) } : usual;
        }
    }

    /// <summary>Batches of the text; from one step on they have a label that is none.</summary>
    sealed class Batches(long wrongFrom = long.MaxValue) : IBatches
    {
        readonly ByteBatches _text = new(Text, 1, 2, Model("mesh.switch"));

        public TokenBatch Of(long step)
        {
            var batch = _text.Of(step);
            return step < wrongFrom ? batch : batch with { Labels = [999, .. batch.Labels[1..]] };
        }
    }

    static Trainer Begun(IBackend backend, string dialect, IObjective objective, TrainingConfig? training = null) =>
        new(backend, Model(dialect), training ?? Training, objective);

    /// <summary>Everything that a checkpoint holds.</summary>
    static IEnumerable<float> State(Trainer trainer) =>
    [
        trainer.Step, trainer.Skipped, trainer.Optimizer.Steps,
        .. trainer.Model.Parameters.Select(p => p.Value).Concat(trainer.Model.State.Select(s => s.Value)).Concat(trainer.Optimizer.State.Select(s => s.Value))
            .SelectMany(m => trainer.Backend.ToArray(m)),
    ];

    static string Line(StepResult r) => $"{r.Step} {r.BitsPerByte:R} {r.GradientNorm:R} {r.Rate:R} {r.Skipped}";

    /// <summary>
    /// Dialects whose routers keep a bias, a coefficient, a running mean, or nothing, and more steps than may be ahead; with micro-batches too.
    /// </summary>
    [Theory]
    [InlineData("mesh.switch", 1)]
    [InlineData("hf.deepseek_v3", 1)]
    [InlineData("remoe.relu", 1)]
    [InlineData("clark.rl_r", 1)]
    [InlineData("hf.deepseek_v3", 2)]
    [InlineData("mesh.switch", 1, OptimizerKind.Adafactor)]
    public void A_step_that_is_left_out_is_left_out_alone(string dialect, int accumulate, OptimizerKind optimizer = OptimizerKind.AdamW)
    {
        const int steps = 88;
        var training = Training with { Accumulate = accumulate, Optimizer = optimizer };
        using var cpu = new CpuBackend(1);
        using var device = new Device(new CpuBackend(1));
        Trainer Troubled(IBackend backend) => Begun(backend, dialect, new Troubled([4, 5, 9, 66]), training);
        using Trainer waiting = Troubled(cpu), ahead = Troubled(device);
        List<StepResult> expected = [], actual = [];
        for (var step = 0; step < steps; step++)
        {
            expected.Add(waiting.Train(new Batches(), step / 90.0));
            ahead.Advance(new Batches(), step / 90.0);
            if (step == 20) actual.AddRange(ahead.Settle());
        }
        Assert.Equal(4, ahead.StepsAhead);             // 67 since it was settled, of which 63 were too many
        actual.AddRange(ahead.Settle());
        Assert.Equal(expected.Select(Line), actual.Select(Line));
        Assert.Equal(Enumerable.Range(1, steps), actual.Select(r => (int)r.Step));
        Assert.Equal([3, 4, 8, 65], actual.Index().Where(r => r.Item.Skipped).Select(r => r.Index));
        Assert.Equal(State(waiting), State(ahead));
    }

    [Fact]
    public void A_dense_step_that_goes_ahead_reads_nothing()
    {
        using var device = new Device(new CpuBackend(1));
        using var trainer = new Trainer(device, Model("mesh.switch") with { Experts = 0 }, Training);
        for (var step = 0; step < 10; step++) trainer.Advance(new Batches(), 0.1);
        Assert.Equal(0, device.Reads);
        Assert.Equal(10, trainer.Settle().Count);
        Assert.Equal(1, device.Reads);
    }

    /// <summary>Where it is heard of, the run stands where it stood before the step.</summary>
    [Fact]
    public void A_wrong_index_ends_the_run_at_its_step()
    {
        using var cpu = new CpuBackend(1);
        using var device = new Device(new CpuBackend(1));
        using Trainer waiting = Begun(cpu, "mesh.switch", new NextTokenLoss()), ahead = Begun(device, "mesh.switch", new NextTokenLoss());
        for (var step = 0; step < 3; step++) waiting.Train(new Batches(3), 0.1);
        for (var step = 0; step < 6; step++) ahead.Advance(new Batches(3), 0.1);
        const string line = "CrossEntropy: index 999 at row 0 is outside 0…255; -100 means none";
        Assert.Equal(line, Assert.Throws<ShapeException>(() => waiting.Train(new Batches(3), 0.1)).Message);
        Assert.Equal(line, Assert.Throws<ShapeException>(ahead.Settle).Message);
        Assert.Equal(0, ahead.StepsAhead);
        Assert.Equal(State(waiting), State(ahead));
    }

    /// <summary>Those before it count, and one that was left out is counted.</summary>
    [Fact]
    public void A_wrong_index_behind_a_step_that_was_left_out_ends_the_run_at_its_own_step()
    {
        using var cpu = new CpuBackend(1);
        using var device = new Device(new CpuBackend(1));
        using Trainer waiting = Begun(cpu, "mesh.switch", new Troubled([2])), ahead = Begun(device, "mesh.switch", new Troubled([2]));
        for (var step = 0; step < 4; step++) waiting.Train(new Batches(4), 0.1);
        for (var step = 0; step < 6; step++) ahead.Advance(new Batches(4), 0.1);
        Assert.Throws<ShapeException>(() => waiting.Train(new Batches(4), 0.1));
        Assert.Throws<ShapeException>(ahead.Settle);
        Assert.Equal((4, 1), (ahead.Step, ahead.Skipped));
        Assert.Equal(State(waiting), State(ahead));
    }

    /// <summary>An error of a step is that step's, unless an earlier one was left out: then it met parameters that it never should have met.</summary>
    [Fact]
    public void An_error_ends_the_run_only_if_it_comes_again()
    {
        using var device = new Device(new CpuBackend(1));
        using var failing = Begun(device, "mesh.switch", new Troubled([], throws: 4));
        for (var step = 0; step < 3; step++) failing.Advance(new Batches(), 0.1);
        Assert.Throws<RoutingException>(() => failing.Advance(new Batches(), 0.1));
        Assert.Equal((3, 3), (failing.Step, failing.Settle().Count));

        using var behind = Begun(device, "mesh.switch", new Troubled([2], throws: 4));
        for (var step = 0; step < 3; step++) behind.Advance(new Batches(), 0.1);
        Assert.Throws<RoutingException>(() => behind.Advance(new Batches(), 0.1));
        Assert.Equal((3, 1), (behind.Step, behind.Skipped));
        Assert.Equal([false, true, false], behind.Settle().Select(r => r.Skipped));
    }
}
