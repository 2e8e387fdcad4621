using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>What a model's configuration means: a dialect and its parameters, in the words of case files.</summary>
/// <param name="Type">The model type that the configuration was read as.</param>
/// <param name="Experts">How many routed experts there are, and where that comes from; no dialect has it as a parameter.</param>
/// <param name="Parameters">Those that the configuration, or the library's defaults for what it leaves out, set.</param>
/// <param name="Ignored">Keys that speak of routing and were not understood.</param>
/// <param name="Note">What one dialect cannot say of this file, empty if nothing.</param>
public sealed record ConfigAnswer(
    ModelType Type, ConfigParameter Experts, IReadOnlyList<ConfigParameter> Parameters, IReadOnlyList<IgnoredKey> Ignored, string Note)
{
    /// <summary>The dialect's name; whether this library has it is asked of <see cref="BuiltIn"/>.</summary>
    public string Dialect => Type.Dialect;

    /// <summary><c>{"dialect": "hf.kimi_linear", "parameters": {"k": 3, …}, "ignored": […]}</c>.</summary>
    public JsonObject ToJson() => new()
    {
        ["dialect"] = Dialect,
        ["parameters"] = new JsonObject(Parameters.Select(p => KeyValuePair.Create<string, JsonNode?>(p.Name, p.Value.DeepClone()))),
        ["ignored"] = new JsonArray([.. Ignored.Select(i => (JsonNode)i.Key)]),
    };
}

/// <summary>A parameter of a dialect, and the key that it comes from, or the library's default of one, or the rule itself.</summary>
public sealed record ConfigParameter(string Name, JsonNode Value, string From);

/// <summary>A key that is not understood, its value, and why.</summary>
public sealed record IgnoredKey(string Key, string Value, string Why);
