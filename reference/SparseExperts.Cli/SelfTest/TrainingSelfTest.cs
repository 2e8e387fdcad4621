using System.Globalization;
using System.Text;
using SparseExperts.Cpu;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Training;

namespace SparseExperts.Cli.SelfTest;

/// <summary>
/// Ten steps of a small model for a dialect, on the CPU and on a backend from the same start: losses and all parameters must have the same bits where
/// the backend promises them. Where it does not, how far the losses are apart is said and not judged.
/// </summary>
static class TrainingSelfTest
{
    const int Steps = 10, Context = 48;

    /// <summary>One of every kind of plan: with capacity, without, by experts, with state, without experts.</summary>
    public static readonly string[] Usual = ["mesh.switch", "lingvo.top2", "hf.mixtral", "hf.deepseek_v3", "megatron.topk", "zhou.expert_choice"];

    static readonly string Words = string.Concat(Enumerable.Range(0, 2000).Select(i => $"{i * i % 97} of {i % 13}, "));

    static readonly ByteText Text = ByteText.FromBytes("words", Encoding.ASCII.GetBytes(Words), Context);

    public static IEnumerable<SelfTestResult> Run(IBackend backend, IReadOnlyList<string> dialects, ulong seed) => dialects
        .Select(name => Run(backend, name, Config with { Dialect = DialectFile.Resolve(name) }, seed))
        .Append(Run(backend, "dense twin", Config with { Experts = 0 }, seed));

    static ModelConfig Config => new() { Width = 32, Layers = 2, Hidden = 48, Experts = 8, Context = Context, Dropout = 0.1, ExpertDropout = 0.1 };

    static SelfTestResult Run(IBackend backend, string name, ModelConfig model, ulong seed)
    {
        using var cpu = new CpuBackend();
        var training = new TrainingConfig { Batch = 4, Steps = Steps, WarmUp = 2, Rate = 1e-2, Seed = seed };
        Trainer expected = new(cpu, model, training), actual = new(backend, model, training);
        var worst = 0.0;
        for (var step = 0; step < Steps; step++)
        {
            double ours = expected.Train(Text, step / (double)Steps).BitsPerByte, theirs = actual.Train(Text, step / (double)Steps).BitsPerByte;
            worst = Math.Max(worst, Math.Abs(ours - theirs));
            if (!backend.Info.PromisesBits || ours.Equals(theirs)) continue;
            var bits = string.Create(CultureInfo.InvariantCulture, $"{theirs:R} bits/byte, expected {ours:R}");
            return new("training", name, Steps, step, 0, $"step {step + 1}", bits);
        }
        var pairs = expected.Model.Parameters.Zip(actual.Model.Parameters);
        var other = pairs.FirstOrDefault(p => !cpu.ToArray(p.First.Value).SequenceEqual(backend.ToArray(p.Second.Value)));
        if (other.First is null) return new("training", name, Steps, Steps, 0, null, null);
        if (backend.Info.PromisesBits) return new("training", name, Steps, Steps, 0, $"after {Steps} steps", $"parameter {other.First.Name} has other bits");
        return new("training", name, Steps, 0, double.NaN, string.Create(CultureInfo.InvariantCulture, $"losses are {worst:E2} bits/byte apart at most"), null);
    }
}
