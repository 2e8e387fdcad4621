using System.Text.Json;
using System.Text.Json.Nodes;
using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>
/// numpy has no bfloat16: an .npz holds such numbers as float32 and says in <c>meta.dtypes</c>, a JSON object such as <c>{"x": "bf16"}</c>, which type an
/// array had.
/// </summary>
static class CaseDtypes
{
    /// <summary>Key of the metadata.</summary>
    public const string Key = "dtypes";

    /// <summary>Tensors with the types that they had; a number that a named type does not have is refused.</summary>
    /// <param name="isFree">Names that are the producer's own, whatever is said of them.</param>
    /// <exception cref="CaseException">The text is no such object, or contradicts the numbers.</exception>
    public static Dictionary<string, CaseTensor> Restore(string path, Dictionary<string, CaseTensor> tensors, string text, Func<string, bool> isFree)
    {
        foreach (var (name, node) in Object(path, text))
        {
            var said = node is JsonValue value && value.TryGetValue(out string? word) ? word : node?.ToJsonString() ?? "null";
            CaseException Wrong(string what) => new($"{path}: meta.{Key} says that {name} is {said}{what}");
            if (NumberFormats.OfName(said) is not { } format) throw Wrong($"; write one of {string.Join(", ", NumberFormats.Names)}");
            if (isFree(name)) continue;
            if (!tensors.TryGetValue(name, out var tensor)) throw Wrong(", which is not in the file; add it or take its type out");
            if (tensor.DType is not ("F64" or "F32" or "F16")) throw Wrong($", but it holds {tensor.DType}; take its type out");
            if (StoredFormat.FirstOutside(format, tensor) is { } outside)
                throw Wrong(FormattableString.Invariant($", but it holds {outside:R}, which is no {said} number; correct the one or the other"));
            tensors[name] = tensor with { DType = format.DType() };
        }
        return tensors;
    }

    /// <summary>The text for tensors of which some are bfloat16; null where none is.</summary>
    public static string? Of(IEnumerable<CaseTensor> tensors)
    {
        CaseTensor[] brain = [.. tensors.Where(t => t.DType == "BF16")];
        return brain.Length == 0 ? null : new JsonObject(brain.Select(t => KeyValuePair.Create(t.Name, (JsonNode?)JsonValue.Create("bf16")))).ToJsonString();
    }

    static JsonObject Object(string path, string text)
    {
        try
        {
            if (JsonNode.Parse(text) is JsonObject read)
            {
                _ = read.Count;         // a name that comes twice is found when they are counted
                return read;
            }
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            // Refused below, with the text itself.
        }
        throw new CaseException($"{path}: meta.{Key} is '{(text.Length > 80 ? text[..80] + "…" : text)}'; write a JSON object such as {{\"x\": \"bf16\"}}");
    }
}
