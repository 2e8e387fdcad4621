using System.Text.Json;
using System.Text.Json.Serialization;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Models;
using SparseExperts.Routing;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Everything that a run was started with: <c>config.json</c>, from which alone it can be resumed.</summary>
public sealed record RunConfig
{
    public const int CurrentFormat = 2;

    public int Format { get; init; } = CurrentFormat;

    /// <summary>The <see cref="NumericsVersion"/> that the run began with; 1 where the file does not say.</summary>
    public int Numerics { get; init; } = 1;
    public required string Preset { get; init; }

    /// <summary>Name of the <see cref="ModelFamily"/>, which decides what <see cref="Model"/> has; a decoder where the file does not say.</summary>
    public string Family { get; init; } = ModelConfig.FamilyName;
    public required IModelConfig Model { get; init; }
    public required TrainingConfig Training { get; init; }

    /// <summary>What is made of the text; windows of bytes where the file does not say.</summary>
    public DataKind Data { get; init; }

    /// <summary>The run whose model this one began with; null where it began with start values.</summary>
    public string? From { get; init; }

    /// <summary>The run whose model teaches this one, and by which share of the loss; null where only the labels do.</summary>
    public Teacher? Teacher { get; init; }

    /// <summary>The tokenizer that the run keeps a copy of; bytes where the file does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TokenizerFile? Tokenizer { get; init; }

    /// <summary>
    /// Temperature by which languages, the folders of the text's folder, are drawn (<see cref="Text.Mixture"/>); one text where the file does not say.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Mixture { get; init; }

    /// <summary>What is taken out of the text where <see cref="Data"/> are spans; T5's where the file does not say.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SpanCorruption? Spans { get; init; }

    /// <summary>Absolute path of the text, its length and SHA-256: a run does not go on with another text. Empty where the model was imported.</summary>
    public required string Text { get; init; }
    public required long TextBytes { get; init; }
    public required string TextHash { get; init; }
    public required string Backend { get; init; }
    /// <summary>How the backend computes products; exact where the file does not say.</summary>
    public Precision Precision { get; init; }
    public required int Threads { get; init; }
    public required long CheckpointEvery { get; init; }

    /// <summary>Whether the run is what an import made, which has neither text nor metrics.</summary>
    public bool IsImported => Text.Length == 0;

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        IgnoreReadOnlyProperties = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowDuplicateProperties = false,
        RespectNullableAnnotations = true,
        Converters = { new DialectConverter(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false) },
    };

    /// <summary>One object a line, for <c>metrics.jsonl</c> and <c>--json</c>.</summary>
    public static JsonSerializerOptions JsonLine { get; } = new(Json)
    {
        WriteIndented = false,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip,
    };

    public static RunConfig Load(string path)
    {
        try
        {
            var config = Parse(RegularFiles.ReadAllText(path));
            if (config.Format != CurrentFormat)
                throw new RunException($"{path}: format {config.Format}, this program reads {CurrentFormat}; use the version that wrote it");
            config.Model.Validate();
            config.Training.Validate();
            config.Spans?.Validate();
            if (config.CheckpointEvery < 1) throw new JsonException($"a checkpoint every {config.CheckpointEvery} steps: at least 1");
            return config;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or ConfigurationException or DataException)
        {
            var why = e is JsonException json ? JsonTrouble.Why(json) : FileTrouble.Why(e);
            throw new RunException($"{path}: not a usable run configuration ({why}); name the folder of a run that this program wrote");
        }
    }

    public string ToJson() => JsonSerializer.Serialize(this, JsonOf(ModelFamily.Find(Family)));

    static RunConfig Parse(string text)
    {
        var family = JsonSerializer.Deserialize<FamilyLine>(text, JsonLine)?.Family ?? ModelConfig.FamilyName;
        return JsonSerializer.Deserialize<RunConfig>(text, JsonOf(ModelFamily.Find(family))) ?? throw new JsonException("the file says null");
    }

    /// <summary>What of a configuration says how to read the rest.</summary>
    sealed record FamilyLine(string? Family);

    static JsonSerializerOptions JsonOf(ModelFamily family)
    {
        var options = new JsonSerializerOptions(Json);
        options.Converters.Add(new ModelConfigConverter(family));
        return options;
    }

    /// <summary>The model's configuration is of its family's type.</summary>
    sealed class ModelConfigConverter(ModelFamily family) : JsonConverter<IModelConfig>
    {
        public override IModelConfig? Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            (IModelConfig?)JsonSerializer.Deserialize(ref reader, family.Config, options);

        public override void Write(Utf8JsonWriter writer, IModelConfig value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value, family.Config, options);
    }
}

/// <summary>A run whose model teaches another.</summary>
/// <param name="Run">Absolute path of its folder.</param>
/// <param name="Share">Of the loss that its distribution has, in place of the labels.</param>
public sealed record Teacher(string Run, double Share);

/// <summary>A run folder that cannot be used; one line with the path, the reason and the remedy.</summary>
public sealed class RunException(string message, params string[] settings) : Exception(message), INamesSettings
{
    public IReadOnlyList<string> Settings { get; } = settings;
}
