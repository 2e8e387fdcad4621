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
        Refused($"'{Gate}' is I32, which is not read; convert the checkpoint to F32, BF16 or F16");
    }

    void Say(string key, JsonNode value)
    {
        var json = JsonNode.Parse(File.ReadAllText(In("config.json")))!.AsObject();
        json[key] = value;
        File.WriteAllText(In("config.json"), json.ToJsonString());
    }

    void ComesBack()
    {
        HubExport.Run(Run, Path.Combine(_folder, "out"));
        Assert.Equal(File.ReadAllBytes(In("model.safetensors")), File.ReadAllBytes(Path.Combine(_folder, "out", "model.safetensors")));
        Directory.Delete(Path.Combine(_folder, "out"), true);
        Directory.Delete(Run, true);
    }

    [Fact]
    public void What_was_half_written_is_refused()
    {
        Copy("sharded/qwen2_moe-3-shards");
        File.Delete(In("model.safetensors.index.json"));
        Refused("there are shards, so take the index as well");

        Directory.Delete(From, recursive: true);
        Copy("language-models/mixtral-tiny");
        File.WriteAllText(In("tokenizer.json"), "{\"model\"");
        Refused("tokenizer.json: not JSON");
    }

    /// <summary>One of a kind that is not known is said, and its checkpoint imported without it.</summary>
    [Fact]
    public void A_broken_tokenizer_is_refused_and_an_unknown_one_is_said()
    {
        Copy("language-models/mixtral-tiny");
        (string File, string Content, bool IsBroken)[] cases =
        [
            ("tokenizer.model", "no tokenizer at all", true),
            ("tokenizer.model", "", true),
            ("tokenizer.model", "IQ== 0\nIg== 1\n", false),
            ("tokenizer.json", """{"model": {"type": "WordPiece"}}""", false),
            ("tokenizer.json", """{"model": {"type": "BPE", "vocab": 5}}""", true),
            ("tokenizer.json", "{}", true),
        ];
        foreach (var (file, content, isBroken) in cases)
        {
            File.WriteAllText(In(file), content);
            if (isBroken)
            {
                Refused($"{file}: cannot be used as a tokenizer: ");
            }
            else
            {
                Assert.Contains("unsupported; the run has its weights alone", HubImport.Run(From, Run).Note, StringComparison.Ordinal);
                ComesBack();
            }
            File.Delete(In(file));
        }
    }

    /// <summary>A run that has lost what it keeps of its checkpoint is not written as if it had never had it.</summary>
    [Fact]
    public void A_run_without_its_source_is_not_exported()
    {
        Copy("language-models/mixtral-tiny");
        HubImport.Run(From, Run);
        Directory.Delete(Path.Combine(Run, "source"), recursive: true);
        var error = Assert.Throws<RunException>(() => HubExport.Run(Run, Path.Combine(_folder, "out")));
        Assert.EndsWith("source: is missing or not whole, which says how the checkpoint was stored; import it again", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_no_line_of_the_table_knows_is_refused()
    {
        Copy("language-models/mixtral-tiny");
        Rewrite("model.safetensors", (file, t) => HubRepack.AsIs(file, t) with { Name = t.Name.Replace("lm_head", "classifier") });
        Say("tie_word_embeddings", true);
        Refused("tensor 'classifier.weight' is none of mixtral by its config.json");
    }

    [Fact]
    public void The_head_of_a_tied_model_may_repeat_its_embedding_and_nothing_else()
    {
        Copy("language-models/mixtral-tiny");
        Say("tie_word_embeddings", true);
        Refused("tensor 'lm_head.weight' is not 'model.embed_tokens.weight', which it repeats");
        Rewrite("model.safetensors", (file, t) => t.Name == "lm_head.weight"
            ? HubRepack.AsIs(file, file.Tensors.First(e => e.Name == "model.embed_tokens.weight")) with { Name = t.Name }
            : HubRepack.AsIs(file, t));
        Assert.Equal(0, HubImport.Run(From, Run).Unread);
        ComesBack();
    }

    [Fact]
    public void A_layer_that_predicts_further_tokens_is_kept_and_not_read()
    {
        Copy("language-models/deepseek_v3-tiny");
        Rewrite("model.safetensors", (file, t) => HubRepack.AsIs(file, t) with { Name = t.Name.Replace("model.norm", "model.layers.2.eh_norm") });
        Refused("no tensor 'model.norm.weight'");
        Copy("language-models/deepseek_v3-tiny");
        Say("num_nextn_predict_layers", 0);
        using (var file = SafetensorsFile.Open(In("model.safetensors")))
            SafetensorsWriter.Write(In("more"), file.Metadata,
                [.. file.Tensors.Select(t => HubRepack.AsIs(file, t)), HubRepack.AsIs(file, file.Tensors[0]) with { Name = "model.layers.2.eh_proj.weight" }]);
        File.Move(In("more"), In("model.safetensors"), overwrite: true);
        Refused("tensor 'model.layers.2.eh_proj.weight' is none of deepseek_v3 by its config.json");
        Say("num_nextn_predict_layers", 1);
        Assert.Equal(1, HubImport.Run(From, Run).Unread);
        ComesBack();
    }

    /// <summary>A shorter model is another one; layers that predict are those that the configuration counts.</summary>
    [Fact]
    public void Layers_that_config_json_does_not_count_are_refused()
    {
        Copy("language-models/mixtral-tiny");
        Say("num_hidden_layers", 1);
        Refused("tensor 'model.layers.1.block_sparse_moe.experts.0.w1.weight' is none of mixtral by its config.json");
    }

    /// <summary>The naming of the experts is the stored one, so that what is wrong is the shape.</summary>
    [Fact]
    public void Another_width_of_experts_is_a_wrong_shape()
    {
        Copy("language-models/mixtral-tiny");
        Say("intermediate_size", 20);
        Refused("config.json asks for [20, ");
    }

    [Fact]
    public void A_run_without_a_header_of_its_weights_is_not_exported()
    {
        Copy("language-models/mixtral-tiny");
        HubImport.Run(From, Run);
        File.Delete(Path.Combine(Run, "source", "weights", "model.safetensors.header"));
        var error = Assert.Throws<RunException>(() => HubExport.Run(Run, Path.Combine(_folder, "out")));
        Assert.Contains("no header of a file of weights has 'model.embed_tokens.weight'; import the checkpoint again", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_folder, "out")));
    }

    [Fact]
    public void The_text_part_of_a_composite_model_is_read_and_the_rest_kept()
    {
        const string text = """
            { "model_type": "qwen3_vl_moe_text", "hidden_size": 16, "intermediate_size": 20, "moe_intermediate_size": 12, "num_hidden_layers": 2,
              "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 30, "num_experts": 3, "num_experts_per_tok": 2 }
            """;
        Directory.CreateDirectory(From);
        File.WriteAllText(In("config.json"), $$"""{ "model_type": "qwen3_vl_moe", "tie_word_embeddings": false, "text_config": {{text}} }""");
        var random = new Random(4);
        StoredTensor Drawn(string name, IReadOnlyList<long> shape) => new(name, "BF16", [.. shape], stream =>
        {
            var bytes = new byte[2 * shape.Aggregate(1L, (a, b) => a * b)];
            random.NextBytes(bytes);
            stream.Write(bytes);
        });
        var tensors = HubTensors.Of(HubConfig.Load(From)).All
            .Select(t => Drawn(t.Name.Replace("model.", "model.language_model.", StringComparison.Ordinal), t.Shape));
        SafetensorsWriter.Write(In("model.safetensors"), new Dictionary<string, string>(), [.. tensors, Drawn("model.visual.blocks.0.norm1.weight", [7])]);
        Assert.Equal(1, HubImport.Run(From, Run).Unread);
        ComesBack();
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
        Refused("config.json: cannot be read (no such file or folder); name the folder of a checkpoint");
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
        // What the library reads right: the same matrix under three names.
        using (var file = SafetensorsFile.Open(In("model.safetensors")))
        {
            var shared = HubRepack.AsIs(file, file.Tensors.First(t => t.Name == "shared.weight"));
            SafetensorsWriter.Write(In("more"), file.Metadata,
            [
                .. file.Tensors.Select(t => HubRepack.AsIs(file, t)), shared with { Name = "encoder.embed_tokens.weight" },
                shared with { Name = "decoder.embed_tokens.weight" },
            ]);
        }
        HubImport.Run(From, Run);
        ComesBack();
        File.Move(In("more"), In("model.safetensors"), overwrite: true);
        Assert.Equal(0, HubImport.Run(From, Run).Unread);
        ComesBack();
        Rewrite("model.safetensors", (file, t) => t.Name.StartsWith("decoder.embed", StringComparison.Ordinal)
            ? HubRepack.AsIs(file, file.Tensors.First(e => e.Name == "lm_head.weight")) with { Name = t.Name }
            : HubRepack.AsIs(file, t));
        Refused("'decoder.embed_tokens.weight' is not 'shared.weight'");
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
        Trained();
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

    /// <summary>Both versions of the library begin with other embeddings where a stack's own is missing; what was imported stays as it came.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_untied_Switch_that_was_trained_has_its_embedding_under_all_names(bool sharded)
    {
        Copy("switch-tiny-gated");
        const string shard = "model-00001-of-00001.safetensors", index = "model.safetensors.index.json";
        if (sharded)
        {
            File.Move(In("model.safetensors"), In(shard));
            using var file = SafetensorsFile.Open(In(shard));
            var map = new JsonObject(file.Tensors.Select(t => KeyValuePair.Create(t.Name, (JsonNode?)shard)));
            File.WriteAllText(In(index), new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = 1000 }, ["weight_map"] = map }.ToJsonString());
        }
        HubImport.Run(From, Run);
        Trained();
        var exported = HubExport.Run(Run, Path.Combine(_folder, "out"));
        string[] copies = ["decoder.embed_tokens.weight", "encoder.embed_tokens.weight"];
        var weights = exported.Files[0];
        using SafetensorsFile was = SafetensorsFile.Open(In(weights)), now = SafetensorsFile.Open(Path.Combine(_folder, "out", weights));
        var expected = was.Tensors.Select(t => t.Name).Concat(copies).Order(StringComparer.Ordinal);
        Assert.Equal(expected, now.Tensors.Select(t => t.Name).Order(StringComparer.Ordinal));
        Assert.Equal(was.Tensors.Count + 2, exported.Tensors);
        foreach (var copy in copies) Assert.Equal(now.ReadFloats("shared.weight"), now.ReadFloats(copy));
        if (sharded)
        {
            var json = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "out", index)))!;
            Assert.All(copies, copy => Assert.Equal(shard, (string?)json["weight_map"]![copy]));
            Assert.Equal(1000 + 2 * 4 * now.ReadFloats("shared.weight").Length, (int)json["metadata"]!["total_size"]!);
        }
        using var again = HubFolder.Load(Path.Combine(_folder, "out"));
    }

    /// <summary>A later checkpoint of the run with other numbers.</summary>
    void Trained()
    {
        string first = Path.Combine(Run, "checkpoints", "step-00000000"), later = Path.Combine(Run, "checkpoints", "step-00000007");
        Directory.CreateDirectory(later);
        using (var own = SafetensorsFile.Open(Path.Combine(first, "model.safetensors")))
            SafetensorsWriter.Write(Path.Combine(later, "model.safetensors"), own.Metadata,
                own.Tensors.Select(t => (t.Name, t.Shape, (ReadOnlyMemory<float>)own.ReadFloats(t.Name).Select(x => x * 1.001f).ToArray())));
        File.WriteAllText(Path.Combine(later, "state.json"), """{ "format": 2, "step": 7, "skipped": 0, "optimizer_steps": 0 }""");
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
