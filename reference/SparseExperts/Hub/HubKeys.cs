using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Formats;

namespace SparseExperts.Hub;

/// <summary>
/// A configuration's keys over the defaults of the library's class. It remembers what was asked, so that a key that nobody reads is refused and never
/// passed over in silence.
/// </summary>
sealed class HubKeys
{
    /// <summary>What says nothing of the numbers: where a file comes from, how it was started, what is printed or kept while decoding.</summary>
    static readonly HashSet<string> Harmless =
    [
        "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_name_or_path", "architectures", "auto_map",
        "cache_implementation",
        "chunk_size_feed_forward", "cross_attention_hidden_size", "dtype", "ep_size", "experts_implementation", "finetuning_task",
        "for_llm_compressor", "id2label", "initializer_factor", "initializer_range", "is_decoder", "label2id", "model_type", "output_attentions",
        "output_hidden_states", "output_past", "output_router_logits", "prefix", "pretraining_tp", "problem_type", "return_dict",
        "task_specific_params", "tf_legacy_loss", "tokenizer_class", "torch_dtype", "torchscript", "transformers_version", "use_bfloat16",
        "use_cache", "use_return_dict",
        // Of text generation, which transformers 4 wrote into every configuration.
        "bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample", "early_stopping",
        "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id", "length_penalty", "max_length",
        "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "remove_invalid_values",
        "repetition_penalty", "return_dict_in_generate", "sep_token_id", "suppress_tokens", "temperature", "top_k", "top_p", "typical_p",
    ];

    readonly JsonObject _json, _defaults;
    readonly HashSet<string> _asked = [];

    /// <param name="defaults">What the library's class has where the file is silent.</param>
    /// <param name="at">Path of the part that is read, empty or ending in a dot, for messages.</param>
    public HubKeys(JsonObject json, JsonObject defaults, string where, string at) => (_json, _defaults, Where, At) = (json, defaults, where, at);

    public string Where { get; }
    public string At { get; }

    /// <summary>The file has the key, null included.</summary>
    public bool Has(string key)
    {
        _asked.Add(key);
        return _json.ContainsKey(key);
    }

    public JsonNode? Get(string key)
    {
        _asked.Add(key);
        return _json.TryGetPropertyValue(key, out var value) ? value : _defaults[key];
    }

    /// <summary>The first of several spellings that the file has, else the one that has a default.</summary>
    public string Spelling(params string[] spellings)
    {
        foreach (var spelling in spellings) _asked.Add(spelling);
        return Array.Find(spellings, s => _json[s] is not null) ?? Array.Find(spellings, s => _defaults[s] is not null) ?? spellings[0];
    }

    public int Count(string key, int least = 1) => CountOrNull(key, least) ?? throw Refusal(key, null, $"give a whole number of at least {least}");

    public int? CountOrNull(string key, int least = 1)
    {
        if (Get(key) is not { } value) return null;
        if (value.GetValueKind() != JsonValueKind.Number || !value.AsValue().TryGetValue<double>(out var number) || number != Math.Floor(number)
            || number < least)
            throw Refusal(key, value, $"give a whole number of at least {least}");
        return number <= int.MaxValue ? (int)number : throw Refusal(key, value, $"give a whole number of at most {int.MaxValue}");
    }

    public double Number(string key) => NumberOrNull(key) ?? throw Refusal(key, null, "give a number");

    public double? NumberOrNull(string key)
    {
        if (Get(key) is not { } value) return null;
        return value.GetValueKind() == JsonValueKind.Number
            && double.TryParse(value.ToJsonString(), CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : throw Refusal(key, value, "give a finite number");
    }

    /// <summary>A number that is more than 0.</summary>
    public double Positive(string key) => Number(key) is > 0 and var number ? number : throw Refusal(key, Get(key), "give a number above 0");

    /// <summary>True or false; a number counts as Python counts it, null as false.</summary>
    public bool Flag(string key) => Get(key) switch
    {
        null => false,
        var value when value.GetValueKind() == JsonValueKind.True => true,
        var value when value.GetValueKind() == JsonValueKind.False => false,
        var value when value.GetValueKind() == JsonValueKind.Number => Number(key) != 0,
        var value => throw Refusal(key, value, "give true or false"),
    };

    public string? Text(string key) => Get(key) switch
    {
        null => null,
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var value => throw Refusal(key, value, "give a text"),
    };

    /// <summary>A list with one item a layer, or null.</summary>
    public string[]? Texts(string key, int layers) => List(key, layers)?.Select(item => item is JsonValue value && value.GetValueKind() == JsonValueKind.String
        ? value.GetValue<string>() : throw Refusal(key, Get(key), "give a list of texts")).ToArray();

    /// <summary>A list of whole numbers, or null; of any length where <paramref name="layers"/> is null.</summary>
    public int[]? Counts(string key, int? layers = null) => List(key, layers)?.Select(item => item is JsonValue value
        && value.GetValueKind() == JsonValueKind.Number && value.TryGetValue<double>(out var number)
        && number == Math.Floor(number) && Math.Abs(number) < 1 << 30
        ? (int)number : throw Refusal(key, Get(key), $"give a list of whole numbers below {1 << 30}")).ToArray();

    IEnumerable<JsonNode?>? List(string key, int? count) => Get(key) switch
    {
        null => null,
        JsonArray list when count is null || list.Count == count => list,
        JsonArray list => throw Refusal(key, list, $"give a list of {count}, one a layer"),
        var value => throw Refusal(key, value, "give a list"),
    };

    /// <summary>A part of the configuration, or null; its own keys are asked of what is returned.</summary>
    public HubKeys? Part(string key) => Get(key) switch
    {
        null => null,
        JsonObject part => new(part, [], Where, $"{At}{key}."),
        var value => throw Refusal(key, value, "give an object"),
    };

    /// <summary>Names of the keys of this part.</summary>
    public IEnumerable<string> Names => _json.Select(p => p.Key);

    /// <summary>Keys that others read.</summary>
    public void Known(IEnumerable<string> keys) => _asked.UnionWith(keys);

    /// <summary>The library's class has one way only, or this program: any other value is refused by name.</summary>
    public void Only(string key, string why, params JsonNode?[] values)
    {
        var value = Get(key);
        if (value is null && (!_json.ContainsKey(key) || _defaults[key] is null)) return;
        // Null in the place of a switch that is on by default is off, as in Python; of a number it is none.
        var read = value ?? (_defaults[key]?.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? JsonValue.Create(false) : null);
        if (!values.Any(v => JsonNode.DeepEquals(v, read) || (read is not null && SameNumber(v, read)))) throw Refusal(key, value, why);
    }

    static bool SameNumber(JsonNode? a, JsonNode b) => a?.GetValueKind() == JsonValueKind.Number && b.GetValueKind() == JsonValueKind.Number
        && double.Parse(a.ToJsonString(), CultureInfo.InvariantCulture) == double.Parse(b.ToJsonString(), CultureInfo.InvariantCulture);

    /// <summary>Refuses a key that nobody asked for; null says nothing.</summary>
    public void RefuseOthers(string type)
    {
        foreach (var (key, value) in _json)
            if (value is not null && !_asked.Contains(key) && !Harmless.Contains(key))
                throw Refusal(key, value, $"nothing of {type} that this program knows reads it; take it out if it changes nothing");
    }

    public InvalidFileException Refusal(string key, JsonNode? value, string remedy)
    {
        var text = value?.ToJsonString() ?? "null";
        return new($"{Where}: {At}{key} is {(text.Length > 60 ? text[..60] + "…" : text)}; {remedy}");
    }
}
