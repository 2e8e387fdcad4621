using System.Text.Json.Nodes;
using SparseExperts.Cpu;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Tests.Truth;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Models.Hub;

/// <summary>Texts of the hub's decoders that are continued from a cache have the bits of those whose every window is computed anew.</summary>
public sealed class HubCacheTests
{
    const int Context = 20;

    static string Full(string checkpoint) => Path.Combine(TruthFolder.Part("checkpoints"), checkpoint);

    public static TheoryData<string, NumberFormat> Decoders()
    {
        TheoryData<string, NumberFormat> all = [];
        foreach (var file in TruthFolder.Files("checkpoints", "config.json"))
        {
            var folder = Path.GetDirectoryName(file)!;
            if (!Directory.EnumerateFiles(folder, "*.safetensors").Any() || !IsDecoder(file)) continue;
            foreach (var format in (NumberFormat[])[NumberFormat.Float32, NumberFormat.BFloat16]) all.Add(TruthFolder.Short("checkpoints", folder), format);
        }
        return all;
    }

    static bool IsDecoder(string file)
    {
        try
        {
            return HubConfig.Parse(File.ReadAllText(file), file) is HubDecoder;
        }
        catch (InvalidFileException)
        {
            return false;       // refused by name
        }
    }

    static (Predictor Predictor, int Vocabulary) Load(CpuBackend backend, string checkpoint, NumberFormat format, Action<JsonObject>? change = null)
    {
        using var folder = HubFolder.Load(Full(checkpoint));
        var json = HubConfig.ReadJson(Full(checkpoint));
        change?.Invoke(json);
        var config = new HubModelConfig { Config = json, Context = Context, Format = format };
        var predictor = new Predictor(backend, config, new HubWeights(folder));
        _ = predictor.Model.Parameters.Sum(p => backend.ToArray(p.Value)[0]);
        return (predictor, config.Vocabulary);
    }

    [Theory, MemberData(nameof(Decoders))]
    public void A_cache_changes_no_bit_and_computes_one_position_a_step(string checkpoint, NumberFormat format)
    {
        using var backend = new CpuBackend(1);
        var (predictor, vocabulary) = Load(backend, checkpoint, format);
        using var owned = predictor;
        using GrowingText kept = new(predictor), anew = new(predictor, caches: false);
        int[] ids = [.. Enumerable.Range(0, Context + 2).Select(i => (i * i + 3 * i + 5) % (vocabulary - 3) + 2)];
        for (var n = 3; n <= ids.Length; n++)
        {
            var window = ids[Math.Max(0, n - Context)..n];
            Assert.Equal(Array.ConvertAll(anew.Logits(window), BitConverter.SingleToInt32Bits),
                Array.ConvertAll(kept.Logits(window), BitConverter.SingleToInt32Bits));
        }
        // The window slides twice: then every position is another one.
        Assert.Equal(Context + 2 * Context, kept.Computed);
    }

    /// <summary>Positions of a longer text turn otherwise, the first ones too.</summary>
    [Fact]
    public void Dynamic_rotary_positions_have_no_cache()
    {
        using var backend = new CpuBackend(1);
        var (predictor, _) = Load(backend, "language-models/mixtral-tiny", NumberFormat.Float32,
            json => json["rope_scaling"] = new JsonObject { ["rope_type"] = "dynamic", ["factor"] = 2.0 });
        using var owned = predictor;
        Assert.Null(((ICausalModel)predictor.Model).NewCache());
    }
}
