using SparseExperts.Autograd;
using SparseExperts.Conformance;
using SparseExperts.Models;
using SparseExperts.Ops;
using SparseExperts.Routing;
using SparseExperts.Runs;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Models;

/// <summary>Every use of random numbers has words of its own.</summary>
public sealed class StreamTests
{
    [Fact]
    public void No_two_uses_of_the_largest_preset_share_a_stream()
    {
        var preset = Presets.All.Where(p => p.Model is ModelConfig).MaxBy(p => p.Decoder.Layers * (1 + p.Decoder.Experts))!;
        var seen = new Dictionary<ulong, string>();
        void See(RandomStream stream, string use)
        {
            if (!seen.TryAdd(stream.Stream, use)) Assert.Fail($"{use} has the stream of {seen[stream.Stream]}");
        }
        foreach (var step in (long[])[0, 1, 2, 255, 256, 1 << 20, (1L << 38) - 1])
            foreach (var pass in (int[])[0, 1])
                for (var layer = 0; layer <= preset.Decoder.Layers; layer++)
                    foreach (var use in Enum.GetValues<RandomUse>())
                        See(new Streams(1, pass).At(step, layer, use), $"step {step}, pass {pass}, layer {layer}, {use}");
        using var backend = new ScalarBackend<Float32>();
        using var tape = new Tape(backend);
        foreach (var parameter in new LanguageModel(tape, preset.Decoder, 1).Parameters) See(new Streams(1).Named(parameter.Name), parameter.Name);
    }

    [Fact]
    public void Steps_layers_and_passes_beyond_their_bits_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new Streams(1).At(1L << 38, 0, RandomUse.Data));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Streams(1).At(-1, 0, RandomUse.Data));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Streams(1).At(0, 1 << 16, RandomUse.Data));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Streams(1, 2).At(0, 0, RandomUse.Data));
    }

    /// <summary>Dropout of attention, residual, experts and tokens in every layer: as many streams as uses, each used once forward and once back.</summary>
    [Fact]
    public void The_dropouts_of_a_step_use_every_word_once()
    {
        var noted = new List<(RandomStream Stream, long First, long End)>();
        using var backend = new Noting(new ScalarBackend<Float32>(), noted);
        using var tape = new Tape(backend);
        var config = new ModelConfig
        {
            Vocabulary = 11,
            Context = 12,
            Width = 8,
            HeadWidth = 4,
            Layers = 3,
            Hidden = 12,
            Experts = 3,
            Dropout = 0.2,
            ExpertDropout = 0.3,
            Dialect = BuiltIn.Named("hf.nllb_moe.v5") with { GroupSize = -1, TokenDropout = 0.25 },
        };
        var model = new LanguageModel(tape, config, 5);
        int[] ids = [.. Enumerable.Range(0, 24).Select(i => i * 7 % 11)];
        var result = model.Forward(ids, 2, true, new Streams(9), 4);
        Assert.Equal(config.Layers * 4, noted.Count);
        Assert.Equal(noted.Count, noted.Select(n => n.Stream).Distinct().Count());
        var forward = noted.ToArray();
        tape.Backward(tape.SumColumns(tape.CrossEntropy(result.Logits, tape.Upload(ids)), 1));
        Assert.Equal(forward.OrderBy(n => n.Stream.Stream), noted.Skip(forward.Length).OrderBy(n => n.Stream.Stream));
    }

    sealed class Noting(IBackend inner, List<(RandomStream, long, long)> noted) : DelegatingBackend(inner)
    {
        public override void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
        {
            noted.Add((words.Stream, words.Offset, words.Offset + x.Rows * words.RowStride));
            base.Dropout(x, rate, words, rows, y, accumulate);
        }
    }
}
