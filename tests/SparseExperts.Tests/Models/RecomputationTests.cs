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

/// <summary>Activations that are given up and computed again: the same bits in less memory.</summary>
public sealed class RecomputationTests
{
    static readonly ModelConfig Base = new()
    {
        Context = 64,
        Width = 32,
        HeadWidth = 16,
        Layers = 6,
        Hidden = 128,
        Experts = 4,
        Dropout = 0.1,
        ExpertDropout = 0.2,
    };

    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * i % 97))], 64);

    static ModelConfig Model(string name) => name switch
    {
        "default" => Base,
        "dense" => Base with { Experts = 0 },
        "vmoe.soft" or "mesh.two_level" => Base with { Dialect = BuiltIn.Named(name), ExpertDropout = 0 },
        _ => Base with { Dialect = BuiltIn.Named(name) },
    };

    [Theory]
    [InlineData("default")]
    [InlineData("dense")]
    [InlineData("mesh.switch")]
    [InlineData("mesh.top_2")]
    [InlineData("hf.mixtral")]
    [InlineData("hf.deepseek_v3")]
    [InlineData("megatron.quantile")]
    [InlineData("remoe.relu")]
    [InlineData("thor.random")]
    [InlineData("clark.rl_r")]
    [InlineData("vmoe.soft")]
    [InlineData("lingvo.top2")]
    [InlineData("hf.nllb_moe.v5")]
    [InlineData("mesh.two_level")]
    [InlineData("shazeer.noisy_topk")]
    [InlineData("dselect_k.per_example")]
    [InlineData("hf.gpt_oss")]
    public void A_run_that_recomputes_has_the_same_bits_and_a_smaller_peak(string name)
    {
        var model = Model(name);
        var kept = Train(model, recompute: false);
        var recomputed = Train(model, recompute: true);
        Assert.Equal(kept.Losses, recomputed.Losses);
        foreach (var (parameter, value) in kept.Values) Assert.True(value.AsSpan().SequenceEqual(recomputed.Values[parameter]), $"{parameter} differs");
        Assert.Equal(0, kept.Recomputed);
        Assert.True(recomputed.Recomputed > 0);
        // What the host planned is planned once.
        Assert.Equal(kept.Planned, recomputed.Planned);
        Assert.True(recomputed.Peak < 0.7 * kept.Peak, $"{name}: {recomputed.Peak:N0} bytes at the peak instead of {kept.Peak:N0}");
    }

    sealed record Run(double[] Losses, Dictionary<string, float[]> Values, long Peak, long Recomputed, long Planned);

    /// <summary>Three steps; the peak is of activations and gradients, what is rented for the whole run left out.</summary>
    static Run Train(ModelConfig model, bool recompute)
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        var trainer = new Trainer(backend, model, new() { Batch = 4, Steps = 10, Recompute = recompute });
        List<double> losses = [trainer.Train(Text, 0).BitsPerByte];
        backend.Clear();
        var before = backend.LiveBytes;
        for (var step = 1; step < 3; step++) losses.Add(trainer.Train(Text, 0.1 * step).BitsPerByte);
        Assert.Equal(before, backend.LiveBytes);
        return new([.. losses], trainer.Model.Parameters.ToDictionary(p => p.Name, p => backend.ToArray(p.Value)), backend.PeakBytes - before,
            Calls(Activity.Recompute), Calls(Activity.Plan));

        long Calls(Activity activity) => backend.Calls.Where(c => c.Key.Activity == activity).Sum(c => c.Value.Calls);
    }

    [Fact]
    public void What_was_given_up_is_not_read_by_mistake()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend) { Recomputes = true };
        var x = tape.Input(tape.Rent(2, 2));
        Tensor? hidden = null;
        var y = tape.InSegment(() => tape.Scale(hidden = tape.Scale(x, 2), 3), kept => [kept]);
        Assert.Equal(4, y.Value.Count);
        Assert.Contains("2×2 result of Scale was given up", Assert.Throws<InvalidOperationException>(() => hidden!.Value).Message);
    }
}
