using System.Runtime.InteropServices;
using SparseExperts.Autograd;
using SparseExperts.Conformance;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Profiling;
using SparseExperts.Routing;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>
/// What crosses between host and backend in a training step after the first: numbers come for the host that plans and for reports, the batch and plans
/// go, and nothing that was there before.
/// </summary>
public sealed class HostTrafficTests
{
    static readonly ByteText Text = ByteText.FromBytes("text", [.. Enumerable.Range(0, 9000).Select(i => (byte)(i * i / 7 % 97))], 32);

    static ModelConfig Model(string name)
    {
        var model = new ModelConfig { Context = 32, Width = 16, HeadWidth = 8, Layers = 4, Hidden = 32, Experts = 4 };
        return name switch
        {
            "default" => model,
            "dense" => model with { Experts = 0 },
            "dense with T5's positions" => model with { Experts = 0, Positions = Positions.T5Relative },
            _ => model with { Dialect = BuiltIn.Named(name) },
        };
    }

    [Theory]
    [InlineData("default")]
    [InlineData("dense")]
    [InlineData("dense with T5's positions")]
    [InlineData("mesh.switch")]
    [InlineData("hf.mixtral")]
    [InlineData("hf.deepseek_v3")]
    public void A_steady_step_reads_for_plans_and_reports_and_uploads_nothing_twice(string name)
    {
        using var recorder = new Recorder(new CpuBackend(1));
        using var backend = new CountingBackend(recorder);
        recorder.Site = backend.Site;
        var trainer = new Trainer(backend, Model(name), new() { Batch = 4, Steps = 10 });
        List<Upload> Step()
        {
            recorder.Uploads.Clear();
            backend.Clear();
            trainer.Train(Text, 0.1, details: false);
            return [.. recorder.Uploads];
        }
        Step();
        var second = Step();
        var third = Step();

        var reads = backend.Calls.Where(c => c.Key.Kernel is "Read" or "ReadErrors").ToArray();
        Assert.All(reads, r => Assert.True(r.Key.Activity is Activity.Plan or Activity.Report, $"{r.Key} reads numbers"));
        Assert.Equal(name.StartsWith("dense", StringComparison.Ordinal), reads.All(r => r.Key.Activity == Activity.Report));
        // What became of the step.
        Assert.Equal(1, reads.Where(r => r.Key.Activity == Activity.Report).Sum(r => r.Value.Calls));

        bool IsBatch(Upload u) => u is { Path: "embedding" or "loss", IsInteger: true };
        Assert.All(third, u => Assert.True(u.Activity == Activity.Plan || IsBatch(u), $"{u} is neither a plan's nor the batch's"));
        Assert.Equal(second.Count(u => u.Activity != Activity.Plan), third.Count(u => u.Activity != Activity.Plan));
        bool HadGone(Upload u) => second.Any(before => before.Path == u.Path && before.Numbers.SequenceEqual(u.Numbers));
        Assert.All(third, u => Assert.False(HadGone(u), $"{u} had gone before"));
    }

    sealed record Upload(string Path, string Op, Activity Activity, bool IsInteger, byte[] Numbers)
    {
        public override string ToString() => $"{Path}, {Op}: {Numbers.Length} bytes of {(IsInteger ? "integers" : "numbers")} for {Activity}";
    }

    /// <summary>Keeps what is written.</summary>
    sealed class Recorder(IBackend inner) : DelegatingBackend(inner)
    {
        public CallSite? Site { get; set; }
        public List<Upload> Uploads { get; } = [];

        public override void Write(Storage to, long offset, ReadOnlySpan<float> values) { Keep(values); base.Write(to, offset, values); }
        public override void Write(Storage to, long offset, ReadOnlySpan<double> values) { Keep(values); base.Write(to, offset, values); }
        public override void Write(Storage to, long offset, ReadOnlySpan<int> values) { Keep(values); base.Write(to, offset, values); }

        void Keep<T>(ReadOnlySpan<T> values) where T : unmanaged
        {
            if (Site is { } site) Uploads.Add(new(site.Path, site.Op, site.Activity, typeof(T) == typeof(int), MemoryMarshal.AsBytes(values).ToArray()));
        }
    }
}
