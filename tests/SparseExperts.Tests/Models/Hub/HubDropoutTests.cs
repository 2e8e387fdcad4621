using SparseExperts.Cpu;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Tests.Truth;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.Hub;

/// <summary>Imported decoders are fine-tuned with dropout of their layers and of their experts, each by itself (Fedus et al. 2022, section 4.1).</summary>
public sealed class HubDropoutTests
{
    static string Folder => Path.Combine(TruthFolder.Part("checkpoints"), "language-models", "mixtral-tiny");

    static readonly int[] Ids = [.. Enumerable.Range(0, 32).Select(i => (i * 7 + 3) % 50)];

    /// <summary>Losses of two steps, and what is said of the text before them.</summary>
    static (double[] Losses, float[] Before) Run(double dropout, double expertDropout, NumberFormat format = NumberFormat.Float32)
    {
        using var backend = new CpuBackend(1);
        var config = new HubModelConfig
        {
            Config = HubConfig.ReadJson(Folder),
            Context = 16,
            Dropout = dropout,
            ExpertDropout = expertDropout,
            Format = format,
        };
        using var trainer = new Trainer(backend, config, new() { Batch = 2, Steps = 4, Rate = 1e-3 });
        using (var source = HubFolder.Load(Folder)) Fill(trainer, new HubWeights(source));
        var before = trainer.Evaluate(new(Ids, 2), (result, tape) => tape.Backend.ToArray(result.Logits.Value));
        var batches = new OneBatch();
        return ([.. Enumerable.Range(0, 2).Select(_ => trainer.Train(batches, 0, details: false).BitsPerByte)], before);
    }

    static void Fill(Trainer trainer, HubWeights source)
    {
        foreach (var p in trainer.Model.Parameters)
            source.Fill(new(p.Name, p.Stack, p.Rows / p.Stack, p.Columns), Starts.Zeros, trainer.Backend, p.Value);
    }

    sealed class OneBatch : IBatches
    {
        public TokenBatch Of(long step) => new(Ids, 2) { Labels = [.. Ids.Skip(1), 0], Tasks = new int[2] };
    }

    [Theory]
    [InlineData(NumberFormat.Float32)]
    [InlineData(NumberFormat.BFloat16)]
    public void Each_dropout_draws_its_own_numbers_and_only_in_training(NumberFormat format)
    {
        var none = Run(0, 0, format);
        var all = ((double, double)[])[(0.3, 0), (0, 0.3), (0.3, 0.3)];
        var runs = all.Select(rates => Run(rates.Item1, rates.Item2, format)).Prepend(none).ToArray();
        Assert.All(runs, run => Assert.Equal(none.Before, run.Before));
        Assert.Equal(runs.Length, runs.Select(run => run.Losses[0]).Distinct().Count());
        Assert.All(runs, run => Assert.All(run.Losses, loss => Assert.True(double.IsFinite(loss))));
        Assert.Equal(runs[3].Losses, Run(0.3, 0.3, format).Losses);
    }

    [Fact]
    public void Nothing_else_of_a_checkpoint_can_be_changed()
    {
        IModelConfig config = new HubModelConfig { Config = HubConfig.ReadJson(Folder) };
        Assert.Equal(0.1, config.With(new() { ExpertDropout = 0.1 }).ExpertDropout);
        Assert.Throws<ConfigurationException>(() => config.With(new() { Layers = 3 }));
        Assert.Throws<ConfigurationException>(() => ((HubModelConfig)config.With(new() { Dropout = 1 })).Validate());
    }
}
