using System.Text.Json.Nodes;
using SparseExperts.Formats;
using SparseExperts.Routing;
using SparseExperts.Routing.Configs;

namespace SparseExperts.Hub;

/// <summary>
/// What a checkpoint's <c>config.json</c> says of its model: sizes, which layers are sparse, the dialect of their experts. Absent keys have the default of
/// the library's class, both forms of the file are read (transformers 4 and 5), and a key that nothing reads is refused.
/// </summary>
public abstract record HubConfig
{
    /// <summary>The <c>model_type</c> of the part that is read: <c>qwen3_moe</c>.</summary>
    public required string ModelType { get; init; }

    /// <summary>Major version of transformers that wrote the file.</summary>
    public required int Version { get; init; }

    /// <summary>The same in full, as the file says it; null where it does not.</summary>
    public string? LibraryVersion { get; init; }

    /// <summary>Tokens V.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Width of the residual stream M.</summary>
    public required int Width { get; init; }

    /// <summary>Heads of attention.</summary>
    public required int Heads { get; init; }

    /// <summary>Hidden width of the dense feed-forward layers D.</summary>
    public required int Hidden { get; init; }

    /// <summary>Routed experts of a sparse layer E.</summary>
    public required int Experts { get; init; }

    /// <summary>Hidden width of a routed expert F.</summary>
    public required int ExpertHidden { get; init; }

    /// <summary>What the sparse layers compute.</summary>
    public required Dialect Dialect { get; init; }

    /// <summary>ε of the RMS norms.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Of the dense feed-forward layers, and of experts that have none of their own.</summary>
    public required Activation Activation { get; init; }

    /// <summary>The matrix of the logits is that of the embedding.</summary>
    public required bool Tied { get; init; }

    public int? PadToken { get; init; }
    public int? StartToken { get; init; }
    public IReadOnlyList<int> EndTokens { get; init; } = [];

    /// <param name="path">The file, or a folder that holds <c>config.json</c>.</param>
    /// <exception cref="InvalidFileException">It cannot be read, is of a model that is not known, or says what this program does not do.</exception>
    public static HubConfig Load(string path)
    {
        var (text, file) = Read(path);
        return Parse(text, file);
    }

    /// <summary>The same as JSON.</summary>
    public static JsonObject ReadJson(string path)
    {
        var (text, file) = Read(path);
        return Json(text, file);
    }

    static (string Text, string File) Read(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        try
        {
            return (RegularFiles.ReadAllText(file), file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidFileException($"{file}: cannot be read ({FileTrouble.Why(e)}); name the folder of a checkpoint");
        }
    }

    /// <param name="where">The file, for messages.</param>
    public static HubConfig Parse(string text, string where)
    {
        var json = Json(text, where);
        var family = HubFamilies.Of(json, where);
        return family.Read(json, where) with { LibraryVersion = json["transformers_version"]?.ToString() };
    }

    internal static JsonObject Json(string text, string where)
    {
        try
        {
            return ConfigFile.Json(text, where);
        }
        catch (DialectException e)
        {
            throw new InvalidFileException(e.Message);
        }
    }

    /// <summary>A name of transformers' activations.</summary>
    internal static Activation ActivationOf(HubKeys keys, string key) => keys.Text(key) switch
    {
        "silu" or "swish" => Activation.Silu,
        "relu" => Activation.Relu,
        "gelu" or "gelu_python" => Activation.GeluErf,
        "gelu_new" or "gelu_fast" or "gelu_pytorch_tanh" or "gelu_python_tanh" or "gelu_accurate" => Activation.GeluTanh,
        "sigmoid" => Activation.Sigmoid,
        "tanh" => Activation.Tanh,
        "linear" => Activation.Identity,
        _ => throw keys.Refusal(key, keys.Get(key), "this program knows silu, relu, gelu, gelu_new, gelu_pytorch_tanh, sigmoid, tanh and linear"),
    };

    /// <summary>One id, or several.</summary>
    internal static IReadOnlyList<int> Ids(HubKeys keys, string key) => keys.Get(key) switch
    {
        null => [],
        JsonArray => keys.Counts(key)!,
        _ => [keys.Count(key, least: 0)],
    };
}
