using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Runs;
using SparseExperts.Tests.Truth;
using Xunit;

namespace SparseExperts.Tests.Hub;

/// <summary>Folders that are no checkpoint are refused in one line, and nothing is written.</summary>
public sealed class HubImportTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-import-").FullName;

    string From => Path.Combine(_folder, "from");
    string Run => Path.Combine(_folder, "run");

    /// <summary>A copy of a checkpoint that may be damaged.</summary>
    void Copy(string name)
    {
        Directory.CreateDirectory(From);
        foreach (var file in Directory.EnumerateFiles(Path.Combine(TruthFolder.Part("checkpoints"), name)))
            if (Path.GetFileName(file) is var own && (own.EndsWith(".json", StringComparison.Ordinal) || own.StartsWith("model", StringComparison.Ordinal)))
                File.WriteAllBytes(Path.Combine(From, own), File.ReadAllBytes(file));
    }

    string In(string file) => Path.Combine(From, file);

    void Refused(string expected)
    {
        var before = Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories).Order().ToArray();
        var error = Assert.Throws<InvalidFileException>(() => HubImport.Run(From, Run));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(_folder, "*", SearchOption.AllDirectories).Order());
    }

    /// <summary>The file again with its tensors changed.</summary>
    void Rewrite(string file, Func<SafetensorsFile, TensorEntry, StoredTensor?> change)
    {
        File.Move(In(file), In("old"));
        using (var old = SafetensorsFile.Open(In("old")))
            SafetensorsWriter.Write(In(file), old.Metadata, [.. old.Tensors.Select(t => change(old, t)).OfType<StoredTensor>()]);
        File.Delete(In("old"));
    }

    const string Gate = "model.layers.0.block_sparse_moe.gate.weight";

    [Fact]
    public void A_missing_tensor_a_wrong_shape_and_one_too_many_are_named()
    {
        Copy("language-models/mixtral-tiny");
        Rewrite("model.safetensors", (file, t) => t.Name == Gate ? null : HubRepack.AsIs(file, t));
        Refused($"no tensor '{Gate}', which mixtral has by its config.json");

        Copy("language-models/mixtral-tiny");
        Rewrite("model.safetensors", (file, t) => t.Name == Gate ? HubRepack.AsIs(file, t) with { Shape = [t.Shape[1], t.Shape[0]] } : HubRepack.AsIs(file, t));
        Refused($"'{Gate}' is [24, 4], config.json asks for [4, 24]");

        Copy("language-models/mixtral-tiny");
        Rewrite("model.safetensors", (file, t) => HubRepack.AsIs(file, t) with { Name = t.Name.Replace("layers.1.self_attn.k_proj", "layers.1.k") });
        Refused("no tensor 'model.layers.1.self_attn.k_proj.weight'");

        Copy("language-models/mixtral-tiny");
        Rewrite("model.safetensors", (file, t) => t.Name == Gate ? HubRepack.AsIs(file, t) with { DType = "I32" } : HubRepack.AsIs(file, t));
        Refused($"'{Gate}' is I32; this program reads F32, BF16 and F16");
    }

    [Fact]
    public void A_tensor_that_no_line_of_the_table_knows_is_refused()
    {
        Copy("language-models/mixtral-tiny");
        var json = JsonNode.Parse(File.ReadAllText(In("config.json")))!.AsObject();
        json["tie_word_embeddings"] = true;
        File.WriteAllText(In("config.json"), json.ToJsonString());
        // The head of a model that is tied to its embedding is read by nobody.
        Assert.Equal(1, HubImport.Run(From, Run).Unread);
        HubExport.Run(Run, Path.Combine(_folder, "out"));
        Assert.Equal(File.ReadAllBytes(In("model.safetensors")), File.ReadAllBytes(Path.Combine(_folder, "out", "model.safetensors")));
        Directory.Delete(Run, true);

        Rewrite("model.safetensors", (file, t) => HubRepack.AsIs(file, t) with { Name = t.Name.Replace("lm_head", "classifier") });
        Refused("tensor 'classifier.weight' is none of mixtral by its config.json");
    }

    [Fact]
    public void A_truncated_file_and_none_are_refused()
    {
        Copy("language-models/mixtral-tiny");
        var bytes = File.ReadAllBytes(In("model.safetensors"));
        File.WriteAllBytes(In("model.safetensors"), bytes[..^100]);
        Refused("model.safetensors: ");
        File.Delete(In("model.safetensors"));
        Refused("neither model.safetensors nor model.safetensors.index.json; name the folder of a checkpoint");
        File.WriteAllBytes(In("pytorch_model.bin"), []);
        Refused("its weights are pickled");
        File.Delete(In("config.json"));
        Refused("config.json: cannot be read");
    }

    [Fact]
    public void Shards_that_are_missing_or_not_those_of_the_index_are_named()
    {
        const string shard = "model-00002-of-00003.safetensors";
        Copy("sharded/qwen2_moe-3-shards");
        File.Delete(In(shard));
        Refused($"{shard}: is missing");
        Copy("sharded/qwen2_moe-3-shards");
        File.Copy(In("model-00001-of-00003.safetensors"), In(shard), overwrite: true);
        Refused("is not in model.safetensors.index.json as one of this file");
        Copy("sharded/qwen2_moe-3-shards");
        File.WriteAllText(In("model.safetensors.index.json"), File.ReadAllText(In("model.safetensors.index.json")).Replace("model-00003", "../model-00003"));
        Refused("is in no file of this folder");
        File.WriteAllText(In("model.safetensors.index.json"), "{}");
        Refused("has no weight_map");
    }

    [Fact]
    public void An_untied_Switch_embeds_both_stacks_with_one_matrix()
    {
        Copy("switch-tiny-gated");
        var bytes = File.ReadAllBytes(In("model.safetensors"));
        // What the library writes in earlier versions: the same matrix under three names.
        var file = SafetensorsFile.Open(In("model.safetensors"));
        var shared = file.Tensors.First(t => t.Name == "shared.weight");
        SafetensorsWriter.Write(In("more"), file.Metadata,
            [.. file.Tensors.Select(t => HubRepack.AsIs(file, t)), HubRepack.AsIs(file, shared) with { Name = "encoder.embed_tokens.weight" }]);
        file.Dispose();
        using (var checkpoint = HubFolder.Load(From)) Assert.Empty(checkpoint.Unread);
        File.Move(In("more"), In("model.safetensors"), overwrite: true);
        using (var checkpoint = HubFolder.Load(From)) Assert.Equal(["encoder.embed_tokens.weight"], checkpoint.Unread);
        Assert.NotEqual(bytes, File.ReadAllBytes(In("model.safetensors")));
    }

    [Fact]
    public void A_tokenizer_of_another_model_is_refused()
    {
        Copy("language-models/mixtral-tiny");
        var words = string.Join(", ", Enumerable.Range(0, 61).Select(i => $"\"w{i}\": {i}"));
        File.WriteAllText(In("tokenizer.json"), $$"""{ "model": { "type": "BPE", "vocab": { {{words}} }, "merges": [] }, "added_tokens": [] }""");
        Refused("its tokenizer has ids up to 60, the embedding has 60 rows");
    }

    /// <summary>A trained run's own checkpoint is float32; its export has the formats of what was imported.</summary>
    [Theory]
    [InlineData("bf16/gpt_oss-tiny")]
    [InlineData("sharded/qwen2_moe-3-shards")]
    public void Numbers_of_a_later_checkpoint_are_rounded_to_the_formats_that_came(string name)
    {
        Copy(name);
        HubImport.Run(From, Run);
        string first = Path.Combine(Run, "checkpoints", "step-00000000"), later = Path.Combine(Run, "checkpoints", "step-00000007");
        Directory.CreateDirectory(later);
        using (var own = SafetensorsFile.Open(Path.Combine(first, "model.safetensors")))
            SafetensorsWriter.Write(Path.Combine(later, "model.safetensors"), own.Metadata,
                own.Tensors.Select(t => (t.Name, t.Shape, (ReadOnlyMemory<float>)own.ReadFloats(t.Name).Select(x => x * 1.001f).ToArray())));
        File.WriteAllText(Path.Combine(later, "state.json"), """{ "format": 2, "step": 7, "skipped": 0, "optimizer_steps": 0 }""");
        var exported = HubExport.Run(Run, Path.Combine(_folder, "out"));
        Assert.Equal("step-00000007", Path.GetFileName(exported.Checkpoint));
        foreach (var file in exported.Files)
        {
            using SafetensorsFile was = SafetensorsFile.Open(In(file)), now = SafetensorsFile.Open(Path.Combine(_folder, "out", file));
            Assert.Equal(was.Tensors.Select(t => (t.Name, t.DType, t.Begin)), now.Tensors.Select(t => (t.Name, t.DType, t.Begin)));
            foreach (var tensor in was.Tensors)
            {
                var exact = was.ReadFloats(tensor.Name).Select(x => x * 1.001f);
                var expected = tensor.DType == "BF16" ? exact.Select(x => (float)Rounding.To(NumberFormat.BFloat16, x)) : exact;
                Assert.Equal(expected, now.ReadFloats(tensor.Name));
            }
        }
    }

    [Fact]
    public void A_place_that_is_taken_stays_as_it_is()
    {
        Copy("language-models/mixtral-tiny");
        Directory.CreateDirectory(Run);
        HubImport.Run(From, Run);
        Assert.Throws<RunException>(() => HubImport.Run(From, Run));
        Assert.Throws<RunException>(() => HubExport.Run(Run, From));
        Assert.Equal(["from", "run"], Directory.EnumerateFileSystemEntries(_folder).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
    }

    public void Dispose() => Directory.Delete(_folder, true);
}
