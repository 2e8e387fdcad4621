using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Layers;

/// <summary>A matrix has one name and one set of numbers, whether it is drawn, loaded, or held in part.</summary>
public sealed class WeightsTests
{
    static readonly ModelConfig Config = new() { Width = 16, Layers = 2, Hidden = 24, Experts = 4, Context = 16, Dialect = BuiltIn.Named("hf.deepseek_v3") };

    static Dictionary<string, float[]> Numbers(IBackend backend, IWeightSource source, Func<WeightPart, WeightPart>? shard = null)
    {
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, Config, source, shard);
        return model.Parameters.Select(p => (p.Name, p.Value)).Concat(model.State.Select(s => (s.Name, s.Value)))
            .ToDictionary(p => p.Name, p => backend.ToArray(p.Value));
    }

    static Dictionary<string, WeightPart> Parts(IBackend backend)
    {
        using var tape = new Tape(backend);
        var model = new LanguageModel(tape, Config, 3);
        return model.Parameters.ToDictionary(p => p.Name, p => new WeightPart(p.Name, p.Stack, p.Rows / p.Stack, p.Columns));
    }

    /// <summary>Experts of one owner; columns of what makes the hidden layer and the heads, rows of what takes them.</summary>
    static WeightPart Shard(WeightPart whole) => whole.Name switch
    {
        var n when n.Contains(".experts.", StringComparison.Ordinal) =>
            whole with { Matrices = new(1, 2), ColumnsOfEach = new(whole.Columns / 2, whole.Columns / 2) },
        var n when n.EndsWith("attention.qkv", StringComparison.Ordinal) => whole with { ColumnsOfEach = new(3, 7) },
        var n when n.EndsWith("attention.out", StringComparison.Ordinal) => whole with { RowsOfEach = new(4, 5) },
        _ => whole,
    };

    [Fact]
    public void What_belongs_to_experts_is_said_where_it_is_declared_and_not_by_a_name()
    {
        using var backend = new CpuBackend(1);
        using var tape = new Tape(backend);
        var block = new Weights(tape, new StartValues(3), (_, _) => Starts.Zeros).Sub("block");
        var specialists = block.Sub("specialists").OfExperts(4);
        Assert.Equal(4, specialists.Projection("wi", 3, 5, 1, stack: 4).Experts);
        Assert.Equal(4, specialists.Sub("more").Matrix("bi", 4, 5, Starts.Zeros).Experts);
        Assert.Equal(1, block.Sub("experts").Projection("in", 3, 5, 1, stack: 2).Experts);
    }

    [Fact]
    public void A_shard_starts_with_what_the_whole_has_in_its_place()
    {
        using var backend = new CpuBackend(1);
        var whole = Numbers(backend, new StartValues(3));
        var cut = 0;
        foreach (var (name, numbers) in Numbers(backend, new StartValues(3), Shard))
        {
            if (!Parts(backend).TryGetValue(name, out var part)) continue;
            var shard = Shard(part);
            if (!shard.IsWhole) cut++;
            float[] expected = shard.IsWhole ? whole[name] : Slice(whole[name], shard);
            Assert.Equal(expected, numbers);
        }
        Assert.Equal(8, cut);
    }

    /// <summary>Element by element, without the runs that the product uses.</summary>
    static float[] Slice(float[] whole, WeightPart p) =>
    [
        .. from m in Enumerable.Range(p.Matrices.First, p.Matrices.Count)
           from r in Enumerable.Range(p.RowsOfEach.First, p.RowsOfEach.Count)
           from c in Enumerable.Range(p.ColumnsOfEach.First, p.ColumnsOfEach.Count)
           select whole[(m * p.Rows + r) * p.Columns + c],
    ];

    [Fact]
    public void A_file_with_the_same_names_loads_whole_or_in_part()
    {
        using var backend = new CpuBackend(1);
        var path = Path.Combine(Path.GetTempPath(), $"weights-{Guid.NewGuid():N}.safetensors");
        try
        {
            var whole = Numbers(backend, new StartValues(5));
            var parts = Parts(backend);
            long[] Shape(string name) => parts.TryGetValue(name, out var p) ? [p.Stack * p.Rows, p.Columns] : [1, whole[name].Length];
            SafetensorsWriter.Write(path, new Dictionary<string, string>(), whole.Select(w => (w.Key, Shape(w.Key), (ReadOnlyMemory<float>)w.Value)));
            using var file = SafetensorsFile.Open(path);
            var source = new FileWeights(file, path);
            Assert.Equal(whole, Numbers(backend, source));
            Assert.Empty(source.Others);
            Assert.Equal(Numbers(backend, new StartValues(5), Shard), Numbers(backend, new FileWeights(file, path), Shard));
            string Refused(ModelConfig config)
            {
                using var tape = new Tape(backend);
                return Assert.Throws<InvalidFileException>(() => new LanguageModel(tape, config, new FileWeights(file, path))).Message;
            }
            const string Other = "tensor 'embedding' is F32 [256, 16], the model needs F32 [256, 32]; take the model's own file";
            Assert.EndsWith(Other, Refused(Config with { Width = 32 }));
            Assert.Contains("no tensor 'blocks.2.norm1.weight'", Refused(Config with { Layers = 3 }));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void A_part_that_does_not_exist_is_refused()
    {
        using var backend = new CpuBackend(1);
        Assert.Throws<ArgumentException>(() => Numbers(backend, new StartValues(3), whole => whole with { RowsOfEach = new(whole.Rows, 1) }));
        Assert.Throws<ArgumentException>(() => Numbers(backend, new StartValues(3), whole => whole with { Matrices = new(0, 0) }));
    }
}
