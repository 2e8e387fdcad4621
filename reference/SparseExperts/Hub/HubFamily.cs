using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;

namespace SparseExperts.Hub;

/// <summary>An architecture of the hub that is read: its names, its class's defaults, its tensors.</summary>
abstract record HubFamily
{
    /// <summary>The <c>model_type</c> of the part that is read.</summary>
    public required string Name { get; init; }

    /// <summary>The <c>model_type</c> of composite models whose <c>text_config</c> it is, and older names.</summary>
    public IReadOnlyList<string> Also { get; init; } = [];

    /// <summary>The library's defaults, as a configuration would say them.</summary>
    public required string Defaults { get; init; }

    public required HubTable Table { get; init; }

    /// <summary>Keys that the library's class does not read, or that say again what another one says.</summary>
    public IReadOnlyList<string> NotRead { get; init; } = [];

    /// <summary>Beginnings of the names of tensors that the library's language model does not read, behind the prefix and before it.</summary>
    public IReadOnlyList<string> Unread { get; init; } = [];

    /// <summary>Its checkpoints may have experts in MXFP4.</summary>
    public bool ReadsMxfp4 { get; init; }

    const string NotQuantised = "this program reads weights in F32, BF16 and F16; take a checkpoint that is not quantised";

    /// <param name="whole">The file's text as JSON.</param>
    public HubConfig Read(JsonObject whole, string where)
    {
        var inner = whole["text_config"] as JsonObject;
        var keys = new HubKeys(inner ?? whole, JsonNode.Parse(Defaults)!.AsObject(), where, inner is null ? "" : "text_config.");
        var routing = Routing(whole, where);
        keys.Known(routing.Type.Settings.Append(routing.Type.Experts).SelectMany(s => s.Keys));
        keys.Known(routing.Type.Fixed.Select(f => f.Key).Concat(routing.Type.Besides).Concat(NotRead));
        foreach (var part in (HubKeys[])[keys, new(whole, [], where, "")])
            if (!(ReadsMxfp4 && part.Part("quantization_config")?.Text("quant_method") == "mxfp4")) part.Only("quantization_config", NotQuantised);
        var version = LibraryVersion.OrNewest(whole["transformers_version"]?.ToString()).Major;
        var tied = inner is not null && whole["tie_word_embeddings"] is { } outer ? new HubKeys(whole, [], where, "").Flag("tie_word_embeddings")
            : keys.Flag("tie_word_embeddings");
        keys.Known(["tie_word_embeddings"]);
        var config = Read(keys, new(routing, version, tied));
        keys.RefuseOthers(Name);
        Require("pad_token_id", config.PadToken is { } pad ? [pad] : []);
        // A decoder computes nothing with its end token, and small ones often keep that of a large one.
        if (config is HubSwitch) Require("eos_token_id", config.EndTokens);
        return config;

        // A default of the library may be of another vocabulary: it says nothing of this checkpoint.
        void Require(string key, IEnumerable<int> ids)
        {
            if (keys.Has(key) && ids.Cast<int?>().FirstOrDefault(id => id < 0 || id >= config.Vocabulary) is { } id)
                throw new InvalidFileException($"{where}: {keys.At}{key} {id} is no token of vocab_size {config.Vocabulary}; correct it");
        }
    }

    protected abstract HubConfig Read(HubKeys keys, HubReading reading);

    /// <summary>The dialect and its parameters; whatever of them is not understood is refused.</summary>
    ConfigAnswer Routing(JsonObject whole, string where)
    {
        try
        {
            var answer = ConfigFile.Parse(whole.ToJsonString(), where);
            return answer.Ignored.FirstOrDefault(i => !NotRead.Contains(i.Key[(i.Key.LastIndexOf('.') + 1)..])) is not { } ignored ? answer
                : throw new InvalidFileException($"{where}: {ignored.Key} is {ignored.Value}; {ignored.Why}; take it out if it changes nothing");
        }
        catch (DialectException e)
        {
            throw new InvalidFileException(e.Message);
        }
    }
}

/// <summary>What is read before a family reads the rest.</summary>
/// <param name="Version">Major version of transformers.</param>
readonly record struct HubReading(ConfigAnswer Routing, int Version, bool Tied)
{
    public int Experts => Routing.Experts.Value.GetValue<int>();

    public Dialect Dialect(string where)
    {
        try
        {
            return DialectFile.With(BuiltIn.Named(Routing.Dialect), Routing.ToJson()["parameters"]!.AsObject(), where);
        }
        catch (DialectException e)
        {
            throw new InvalidFileException(e.Message);
        }
    }
}
