using System.Text.Json;
using System.Text.Json.Serialization;
using SparseExperts.Models;
using SparseExperts.Routing;
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
    public required ModelConfig Model { get; init; }
    public required TrainingConfig Training { get; init; }

    /// <summary>Absolute path of the text, its length and SHA-256: a run does not go on with another text.</summary>
    public required string Text { get; init; }
    public required long TextBytes { get; init; }
    public required string TextHash { get; init; }
    public required string Backend { get; init; }
    /// <summary>How the backend computes products; exact where the file does not say.</summary>
    public Precision Precision { get; init; }
    public required int Threads { get; init; }
    public required long CheckpointEvery { get; init; }

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        IgnoreReadOnlyProperties = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new DialectConverter(), new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
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
            var config = JsonSerializer.Deserialize<RunConfig>(File.ReadAllText(path), Json) ?? throw new JsonException("the file says null");
            if (config.Format != CurrentFormat) throw new RunException($"{path}: format {config.Format}, this program reads {CurrentFormat}; use the version that wrote it");
            config.Model.Validate();
            config.Training.Validate();
            return config;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException or ConfigurationException)
        {
            throw new RunException($"{path}: not a usable run configuration ({OneLine(e.Message)}); name the folder of a run that this program wrote");
        }
    }

    static string OneLine(string text) => text.ReplaceLineEndings(" ");
}

/// <summary>A run folder that cannot be used; one line with the path, the reason and the remedy.</summary>
public sealed class RunException(string message, params string[] settings) : Exception(message), INamesSettings
{
    public IReadOnlyList<string> Settings { get; } = settings;
}
