using System.Text.Json.Nodes;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Scalar;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>Every dialect trains, evaluates, generates, and comes back from a checkpoint with the state that its router carries.</summary>
public sealed class DialectTrainingTests
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 6000).Select(i => (byte)(97 + i * i % 23 % 7 + i % 3))], 16);

    public static TheoryData<string> Names() => [.. BuiltIn.All.Select(d => d.Name)];

    static Trainer Make(CpuBackend backend, string dialect) =>
        new(backend, new ModelConfig { Width = 16, Layers = 2, Hidden = 24, Experts = 4, Context = 16, Dialect = BuiltIn.Named(dialect) },
            new() { Batch = 4, Steps = 12, WarmUp = 2, Rate = 1e-2 });

    [Theory, MemberData(nameof(Names))]
    public void Learns_something_in_a_dozen_steps(string dialect)
    {
        using var backend = new CpuBackend(1);
        var trainer = Make(backend, dialect);
        var before = Evaluation.Run(trainer, Text.HeldOut).BitsPerByte;
        for (var step = 0; step < 12; step++) trainer.Train(Text, step / 12.0);
        Assert.Equal(0, trainer.Skipped);
        var after = Evaluation.Run(trainer, Text.HeldOut).BitsPerByte;
        Assert.True(after < before - 0.5, $"{before} bits/byte before, {after} after");
        Assert.Equal(3, Generation.Continue(trainer, "ab"u8, 3, 0.5, 0, 1).Length);
    }

    public static TheoryData<string> Stateful() =>
        [.. BuiltIn.All.Where(d => d.CorrectionBias || d.AdaptiveSparsity || d.TrainingExtra == TrainingExtra.Reinforce).Select(d => d.Name)];

    [Theory, MemberData(nameof(Stateful))]
    public void A_router_that_carries_a_state_ends_with_the_same_bytes_after_a_restart(string dialect)
    {
        var folder = Directory.CreateTempSubdirectory("dialect-");
        try
        {
            string Train(bool restart, string name)
            {
                using var backend = new CpuBackend(1);
                var trainer = Make(backend, dialect);
                for (var step = 0; step < 6; step++)
                {
                    if (restart && step == 3)
                    {
                        var path = Checkpoint.Save(trainer, Path.Combine(folder.FullName, "half"));
                        trainer = Make(backend, dialect);
                        Checkpoint.Load(trainer, path);
                    }
                    trainer.Train(Text, step / 6.0);
                }
                return Checkpoint.Save(trainer, Path.Combine(folder.FullName, name));
            }
            string whole = Train(false, "whole"), halves = Train(true, "halves");
            foreach (var file in (string[])["model.safetensors", "optimizer.safetensors"])
                Assert.Equal(File.ReadAllBytes(Path.Combine(whole, file)), File.ReadAllBytes(Path.Combine(halves, file)));
        }
        finally
        {
            folder.Delete(true);
        }
    }

    /// <summary>What routers carry was one matrix [1, E + 2] a layer in runs that are still there.</summary>
    [Theory, MemberData(nameof(Stateful))]
    public void A_checkpoint_with_the_state_in_one_matrix_is_still_read(string dialect)
    {
        var folder = Directory.CreateTempSubdirectory("dialect-");
        try
        {
            using var backend = new CpuBackend(1);
            var trainer = Make(backend, dialect);
            for (var step = 0; step < 3; step++) trainer.Train(Text, step / 6.0);
            var path = Checkpoint.Save(trainer, folder.FullName);
            Pack(Path.Combine(path, "model.safetensors"), trainer.Model.Config.Experts);
            ForgetSums(Path.Combine(path, "state.json"));
            var loaded = Make(backend, dialect);
            Checkpoint.Load(loaded, path);
            Assert.NotEmpty(loaded.Model.State);
            foreach (var (one, other) in trainer.Model.State.Zip(loaded.Model.State)) Assert.Equal(backend.ToArray(one.Value), backend.ToArray(other.Value));
        }
        finally
        {
            folder.Delete(true);
        }
    }

    /// <summary>Checkpoints of those days say nothing of what their files' bytes are.</summary>
    static void ForgetSums(string path)
    {
        var state = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        Assert.True(state.Remove("sha256"));
        File.WriteAllText(path, state.ToJsonString());
    }

    static void Pack(string path, int experts)
    {
        List<(string, long[], ReadOnlyMemory<float>)> tensors = [];
        Dictionary<string, float[]> packed = [];
        using (var file = SafetensorsFile.Open(path))
            foreach (var t in file.Tensors)
            {
                var at = Array.FindIndex(["correction_bias", "balance_coefficient", "baseline"],
                    part => t.Name.EndsWith($".router_{part}", StringComparison.Ordinal));
                var values = file.ReadFloats(t.Name);
                if (at < 0)
                {
                    tensors.Add((t.Name, t.Shape, values));
                    continue;
                }
                var name = t.Name[..(t.Name.LastIndexOf('.') + 1)] + "router_state";
                if (!packed.TryGetValue(name, out var all)) packed[name] = all = new float[experts + 2];
                values.CopyTo(all, at == 0 ? 0 : experts + at - 1);
            }
        SafetensorsWriter.Write(path, new Dictionary<string, string>(),
            tensors.Concat(packed.Select(p => (p.Key, new long[] { 1, experts + 2 }, (ReadOnlyMemory<float>)p.Value))));
    }

    /// <summary>
    /// y = Σ g·f(x·s), s = 1 with the gradient of g. For linear f, dy/dg = f(x) + g·f(x): the gradient that gates g + g²/2 have without it.
    /// </summary>
    [Fact]
    public void A_straight_through_dispatch_gives_the_gate_a_second_path()
    {
        using var backend = new ScalarBackend<Float64>();
        double[] Gradient(bool straightThrough)
        {
            using var tape = new Tape(backend);
            Tensor Input(int rows, int columns, Func<int, double> value)
            {
                var matrix = tape.Rent(rows, columns);
                backend.Write(matrix, [.. Enumerable.Range(0, rows * columns).Select(value)]);
                return tape.Input(matrix);
            }
            var dialect = BuiltIn.Named("luc.st_moe") with { StraightThrough = straightThrough, Activation = ExpertActivation.Identity, Threshold = 0 };
            var call = new RouterCall { Dialect = dialect, Groups = 1, Size = 6, Experts = 3, Training = true, Draws = new() { Policy = new float[12] } };
            Tensor x = tape.Constant(Input(6, 4, i => Math.Cos(i * 0.9)).Value), router = Input(4, 3, i => Math.Sin(i * 1.7));
            ExpertWeights experts = new() { Wi = Input(12, 5, i => Math.Sin(i * 0.7)), Wo = Input(15, 4, i => Math.Cos(i * 1.3)) };
            var result = SparseLayer.Forward(tape, call, x, new() { Weight = router }, experts);
            var y = result.Output;
            if (!straightThrough)
            {
                var gates = result.Inputs!.Gates;
                y = Experts.Apply(tape, call, x, experts, tape.Add(gates, tape.Scale(tape.Multiply(gates, gates), 0.5)), result.Plan);
            }
            tape.Backward((y, Input(6, 4, i => Math.Sin(i + 1.0)).Value));
            return backend.ToDoubles(router.Gradient);
        }
        double[] expected = Gradient(false), straight = Gradient(true);
        Assert.Contains(expected, g => Math.Abs(g) > 1e-3);
        for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], straight[i], 1e-12);
    }
}
