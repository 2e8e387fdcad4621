using SparseExperts.Cpu;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Layers;
using Xunit;

namespace SparseExperts.Tests.Truth;

/// <summary>Checkpoints of the hub against their families' tables.</summary>
public sealed class TruthCheckpointTests
{
    /// <summary>Architectures that are refused, and what the refusal names.</summary>
    static readonly Dictionary<string, string> Refused = new() { ["jamba"] = "Mamba", ["qwen3_next"] = "delta rule", ["qwen3_5_moe_text"] = "delta rule" };

    public static TheoryData<string> Folders =>
        [.. TruthFolder.Files("checkpoints", "config.json").Select(f => TruthFolder.Short("checkpoints", Path.GetDirectoryName(f)!))];

    static string Full(string folder) => Path.Combine(TruthFolder.Part("checkpoints"), folder);

    [Theory, MemberData(nameof(Folders))]
    public void Every_number_of_a_checkpoint_has_one_place_in_the_model(string folder)
    {
        var kind = Refused.Keys.FirstOrDefault(k => Path.GetFileName(folder).StartsWith(k, StringComparison.Ordinal));
        if (kind is not null)
        {
            var refusal = Assert.Throws<InvalidFileException>(() => HubFolder.Load(Full(folder)));
            Assert.Contains(kind, refusal.Message, StringComparison.Ordinal);
            Assert.Contains(Refused[kind], refusal.Message, StringComparison.Ordinal);
            return;
        }
        using var checkpoint = HubFolder.Load(Full(folder));
        using var backend = new CpuBackend(1);
        var weights = new HubWeights(checkpoint);
        Dictionary<string, float[]> own = [];
        foreach (var matrix in checkpoint.Tensors.Matrices.Values)
        {
            var part = new WeightPart(matrix.Path, matrix.Stack, matrix.Rows, matrix.Columns);
            weights.Declare(part);
            var to = backend.Rent(part.Shape.Rows, part.Shape.Columns);
            weights.Fill(part, Starts.Constant(double.NaN), backend, to);
            own.Add(matrix.Path, backend.ToArray(to));
        }
        Assert.Empty(weights.Others);
        Assert.Empty(checkpoint.Unread);
        Assert.Equal(own.Values.Sum(v => (long)v.Length), checkpoint.Tensors.All.Sum(t => t.Count));
        foreach (var tensor in checkpoint.Tensors.All)
        {
            Assert.Equal(checkpoint.Stored(tensor.Name).ReadFloats(), checkpoint.Tensors.ToStored(tensor, path => own[path]));
        }
    }
}
