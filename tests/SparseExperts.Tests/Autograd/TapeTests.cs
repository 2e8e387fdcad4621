using System.Reflection;
using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Models;
using SparseExperts.Ops;
using Xunit;

namespace SparseExperts.Tests.Autograd;

/// <summary>What a tape tells about what it recorded.</summary>
public sealed class TapeTests
{
    static readonly ModelConfig Config = new()
    {
        Vocabulary = 23,
        Context = 12,
        Width = 16,
        HeadWidth = 8,
        Layers = 2,
        Hidden = 24,
        Experts = 4,
        Dropout = 0.1,
    };

    static readonly int[] Ids = [.. Enumerable.Range(0, 24).Select(i => i * 7 % 23)];

    static Tensor Loss(Tape tape, LanguageModel model)
    {
        var result = model.Forward(Ids, 2, true, new Streams(11), 1);
        return tape.Add(tape.SumColumns(tape.CrossEntropy(result.Logits, tape.Upload(Ids)), 1), result.AuxiliaryLoss!);
    }

    [Fact]
    public void A_node_names_its_op_its_place_its_inputs_and_what_it_saved()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, Config, 3);
        Loss(tape, model);
        var ops = typeof(Op).GetMethods(BindingFlags.Public | BindingFlags.Static).Select(m => m.Name).ToHashSet();
        Assert.All(tape.Nodes, node => Assert.Contains(node.Op, ops));
        var made = new HashSet<Tensor>();
        foreach (var node in tape.Nodes)
        {
            Assert.Same(node, node.Output.Node);
            Assert.All(node.Inputs, input => Assert.True(input.Node is null || made.Contains(input), $"{node.Op}: an input comes after it"));
            made.Add(node.Output);
        }
        // Every parameter is somebody's input, so that its uses can be counted.
        Assert.All(tape.Parameters, parameter => Assert.Contains(tape.Nodes, node => node.Inputs.Contains(parameter)));
        var norm = tape.Nodes.First(node => node.Op == "LayerNorm");
        Assert.Equal(["blocks.0.norm1.weight", "blocks.0.norm1.bias"], norm.Inputs.OfType<Parameter>().Select(p => p.Name));
        Assert.Equal((24, 2), (norm.Saved.Single().Rows, norm.Saved.Single().Columns));
        Assert.Equal("blocks.1.experts", tape.Nodes.Last(node => node.Op == "GroupedFeedForward").Path);
        Assert.Equal("blocks.0.attention", tape.Nodes.First(node => node.Op == "SelfAttention").Path);
    }

    [Fact]
    public void A_gradient_that_is_ready_does_not_change_any_more()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, Config, 3);
        List<(Parameter Parameter, float[] Gradient)> ready = [];
        tape.GradientReady += p => ready.Add((p, backend.ToArray(p.Gradient)));
        for (var step = 0; step < 2; step++)
        {
            ready.Clear();
            tape.Backward(Loss(tape, model));
            Assert.Distinct(ready.Select(r => r.Parameter));
            Assert.Equal(tape.Parameters.Where(p => p.HasGradient).ToHashSet(), ready.Select(r => r.Parameter).ToHashSet());
            Assert.All(ready, r => Assert.Equal(r.Gradient, backend.ToArray(r.Parameter.Gradient)));
            tape.Reset();
        }
        // The final norm is ready first; the embedding, which the logits read too, waits for the first op.
        Assert.Equal(["norm.weight", "norm.bias"], ready.Take(2).Select(r => r.Parameter.Name));
        Assert.Equal("embedding", ready[^1].Parameter.Name);
    }

    [Fact]
    public void A_parameter_that_no_gradient_reaches_is_not_reported()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        Parameter used = tape.Parameter("used", 1, 1, [2]), unused = tape.Parameter("unused", 1, 1, [3]);
        List<string> ready = [];
        tape.GradientReady += p => ready.Add(p.Name);
        tape.Scale(unused, 2);
        tape.Backward(tape.Multiply(used, used));
        Assert.Equal(["used"], ready);
        Assert.Equal([4], backend.ToArray(used.Gradient));
    }

    /// <summary>Two norms share one weight, which is the bias of one of them as well: its gradient is the sum of those of parameters of their own.</summary>
    [Fact]
    public void A_parameter_of_two_norms_and_two_roles_has_the_sum_of_its_gradients()
    {
        using var backend = new CpuBackend(1);
        float[] x = [1, 2, 4, 7, 3, 1, 0, 5], w = [0.5f, 1, 2, 0.25f];
        float[][] Gradients(bool shared)
        {
            using var tape = new Tape(backend);
            var input = tape.Constant(2, 4, x);
            Parameter[] p = [.. Enumerable.Range(0, shared ? 1 : 3).Select(i => tape.Parameter($"{i}", 1, 4, w))];
            Parameter At(int i) => p[shared ? 0 : i];
            var sum = tape.Add(tape.LayerNorm(input, At(0), At(1), 1e-5), tape.Multiply(tape.RmsNorm(input, At(2), 1e-5), input));
            tape.Backward(tape.SumColumns(tape.SumRows(tape.Multiply(sum, sum)), 1));
            return [.. p.Select(q => backend.ToArray(q.Gradient))];
        }
        var apart = Gradients(shared: false);
        var one = Gradients(shared: true)[0];
        for (var j = 0; j < 4; j++) Assert.Equal(apart.Sum(g => (double)g[j]), one[j], 1e-4);
    }
}
