using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Runs;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Hub;

/// <summary>GPT-OSS with experts in four bits, as OpenAI publishes it.</summary>
public sealed class Mxfp4Tests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-mxfp4-").FullName;

    string Full => Path.Combine(TruthFolder.Part("checkpoints"), "bf16", "gpt_oss-tiny");
    string Quantised => Path.Combine(_folder, "quantised");

    /// <summary>The tiny checkpoint with random blocks and scales in place of its experts.</summary>
    Dictionary<string, (byte[] Blocks, byte[] Scales, long[] Shape)> Quantise()
    {
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(Full, "config.json")))!.AsObject();
        json["quantization_config"] = new JsonObject { ["quant_method"] = "mxfp4", ["modules_to_not_convert"] = new JsonArray("model.layers.*.self_attn") };
        Directory.CreateDirectory(Quantised);
        File.WriteAllText(Path.Combine(Quantised, "config.json"), json.ToJsonString());
        using var file = SafetensorsFile.Open(Path.Combine(Full, "model.safetensors"));
        var random = new Random(3);
        Dictionary<string, (byte[], byte[], long[])> made = [];
        List<StoredTensor> tensors = [];
        foreach (var entry in file.Tensors)
        {
            if (!entry.Name.EndsWith("_proj", StringComparison.Ordinal))
            {
                tensors.Add(HubRepack.AsIs(file, entry));
                continue;
            }
            // Stored outputs before inputs, 32 inputs a block.
            long[] shape = [entry.Shape[0], entry.Shape[2], entry.Shape[1]];
            byte[] blocks = new byte[entry.Count / 2], scales = new byte[entry.Count / 32];
            random.NextBytes(blocks);
            for (var i = 0; i < scales.Length; i++) scales[i] = (byte)random.Next(100, 140);
            made.Add(entry.Name, (blocks, scales, shape));
            tensors.Add(new(entry.Name + "_blocks", "U8", [shape[0], shape[1], shape[2] / 32, 16], stream => stream.Write(blocks)));
            tensors.Add(new(entry.Name + "_scales", "U8", [shape[0], shape[1], shape[2] / 32], stream => stream.Write(scales)));
        }
        SafetensorsWriter.Write(Path.Combine(Quantised, "model.safetensors"), new Dictionary<string, string>(), tensors);
        return made;
    }

    [Fact]
    public void Experts_in_four_bits_become_the_same_numbers_in_sixteen()
    {
        var made = Quantise();
        HubImport.Run(Quantised, Path.Combine(_folder, "run"));
        HubExport.Run(Path.Combine(_folder, "run"), Path.Combine(_folder, "out"));
        using var file = SafetensorsFile.Open(Path.Combine(_folder, "out", "model.safetensors"));
        float[] e2m1 = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];
        foreach (var (name, (blocks, scales, shape)) in made)
        {
            var values = file.ReadFloats(name);
            Assert.Equal("BF16", file.Tensors.First(t => t.Name == name).DType);
            for (var i = 0; i < values.Length; i++)
            {
                // [E, in, out] in the file, [E, out, in] in blocks.
                long e = i / (shape[1] * shape[2]), input = i / shape[1] % shape[2], output = i % shape[1], n = (e * shape[1] + output) * shape[2] + input;
                var bits = n % 2 == 0 ? blocks[n / 2] & 15 : blocks[n / 2] >> 4;
                Assert.Equal((bits >= 8 ? -1 : 1) * e2m1[bits % 8] * Math.Pow(2, scales[n / 32] - 127), values[i]);
            }
        }
        var config = File.ReadAllText(Path.Combine(_folder, "out", "config.json"));
        Assert.DoesNotContain("quantization_config", config, StringComparison.Ordinal);
        using var again = HubFolder.Load(Path.Combine(_folder, "out"));
        Assert.Empty(again.Unread);
    }

    [Fact]
    public void Blocks_without_their_scales_are_refused()
    {
        Quantise();
        string path = Path.Combine(Quantised, "model.safetensors"), kept = Path.Combine(_folder, "kept");
        File.Move(path, kept);
        using (var file = SafetensorsFile.Open(kept))
            SafetensorsWriter.Write(path, new Dictionary<string, string>(),
                [.. file.Tensors.Where(t => t.Name != "model.layers.1.mlp.experts.down_proj_scales").Select(t => HubRepack.AsIs(file, t))]);
        var error = Assert.Throws<InvalidFileException>(() => HubImport.Run(Quantised, Path.Combine(_folder, "run")));
        Assert.Contains("without 'model.layers.1.mlp.experts.down_proj_scales'", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "run")));
    }

    public void Dispose() => Directory.Delete(_folder, true);
}
