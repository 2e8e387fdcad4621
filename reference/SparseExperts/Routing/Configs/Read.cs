using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>What a key's value becomes: a parameter's value, no parameter, or nothing understood.</summary>
public readonly record struct Reading(JsonNode? Value, bool Understood)
{
    public static Reading None => new(null, true);
    public static Reading NotUnderstood => new(null, false);
    public static implicit operator Reading(JsonNode value) => new(value, true);
}

/// <summary>From a configuration's value to a parameter's: the few conversions that there are. A wrong type is refused.</summary>
static class Read
{
    /// <summary>A whole number, at least 1.</summary>
    public static Reading Count(Given given) => JsonValue.Create(Whole(given, 1));

    /// <summary>A whole number, at least 0.</summary>
    public static Reading CountOrNone(Given given) => JsonValue.Create(Whole(given, 0));

    /// <summary>A whole number, or one for each layer where all are equal (Hunyuan).</summary>
    public static Reading CountOfLayers(Given given) => given.Value is not JsonArray layers
        ? Count(given)
        : layers.Count > 0 && layers.All(l => JsonNode.DeepEquals(l, layers[0]))
            ? Count(given with { Value = layers[0] })
            : throw given.Refusal("layers differ; write the number of the layer that is meant");

    /// <summary>Only this number will do.</summary>
    public static Func<Given, Reading> Exactly(int number) => given => Whole(given, 1) == number
        ? JsonValue.Create(number)
        : throw given.Refusal($"its router chooses {number}; write {number}");

    /// <summary>A finite number.</summary>
    public static Reading Number(Given given)
    {
        Finite(given);
        return given.Value!.DeepClone();
    }

    /// <summary>True: divided by the sum.</summary>
    public static Reading DividedBySum(Given given) => Truth(given, "sum", "none");

    /// <summary>DBRX: the p of a p-norm, null for none.</summary>
    public static Reading Norm(Given given) => given.Value is null ? JsonValue.Create("none") : Finite(given) switch
    {
        1 => JsonValue.Create("sum"),
        2 => JsonValue.Create("norm2"),
        _ => throw given.Refusal("dialects know the norms 1 and 2, and null for none"),
    };

    /// <summary>True or false; null is false, as in Python.</summary>
    public static Reading Switch(Given given) => JsonValue.Create(Flag(given));

    /// <summary>A word for true, a word for false.</summary>
    public static Reading Truth(Given given, string yes, string no) => JsonValue.Create(Flag(given) ? yes : no);

    /// <summary>One of these words, for the word that stands behind it.</summary>
    public static Func<Given, Reading> Word(params (string Config, string Parameter)[] words) => given =>
    {
        var text = Text(given);
        return words.FirstOrDefault(w => w.Config == text) is { Config: not null } word
            ? JsonValue.Create(word.Parameter)
            : throw given.Refusal($"choose one of {string.Join(", ", words.Select(w => w.Config))}");
    };

    /// <summary>A name of transformers' activations; those without a name in dialects are not understood.</summary>
    public static Reading Activation(Given given) => Text(given) switch
    {
        "silu" or "swish" => JsonValue.Create("silu"),
        "relu" => JsonValue.Create("relu"),
        "relu2" => JsonValue.Create("relu2"),
        "sigmoid" => JsonValue.Create("sigmoid"),
        "linear" => JsonValue.Create("identity"),
        "gelu" or "gelu_python" => JsonValue.Create("gelu_erf"),
        "gelu_new" or "gelu_fast" or "gelu_pytorch_tanh" or "gelu_python_tanh" or "gelu_accurate" => JsonValue.Create("gelu_tanh"),
        _ => Reading.NotUnderstood,
    };

    /// <summary>A number format of PyTorch.</summary>
    public static Func<Given, Reading> Format => Word(("float32", "f32"), ("float16", "f16"), ("bfloat16", "bf16"));

    /// <summary>The largest square root: keys of one half of product keys.</summary>
    public static Reading RootOf(Given given) => JsonValue.Create((int)Math.Sqrt(Whole(given, 1)));

    /// <summary>Yes: a width of its own.</summary>
    public static Reading IsThere(Given given) => JsonValue.Create(Whole(given, 1) > 0);

    /// <summary>1 / k.</summary>
    public static Reading Inverse(Given given) => JsonValue.Create(1.0 / Whole(given, 1));

    /// <summary>1 over a number that is not 0: what logits are divided by.</summary>
    public static Reading Reciprocal(Given given) =>
        Finite(given) is not 0 and var number ? JsonValue.Create(1 / number) : throw given.Refusal("give a number that is not 0");

    /// <summary>A limit, where 0 and less and null are none.</summary>
    public static Reading Limit(Given given) => given.Value is null || Finite(given) <= 0 ? Reading.None : Number(given);

    /// <summary>A list with a limit for each layer, 0 and null for none: the one that all have. Others cannot be one parameter.</summary>
    public static Reading LimitOfLayers(Given given)
    {
        if (given.Value is not JsonArray layers) throw given.Refusal("give a list, a limit for each layer");
        var limits = layers.Select(l => Limit(given with { Value = l }).Value).Distinct(new SameJson()).ToArray();
        return limits switch
        {
            [] or [null] => Reading.None,
            [{ } one] => one.DeepClone(),
            _ => Reading.NotUnderstood,
        };
    }

    /// <summary>The number of a value that has to be a whole one.</summary>
    public static int Whole(Given given, int least)
    {
        if (given.Value is not JsonValue value || value.GetValueKind() != JsonValueKind.Number) throw given.Refusal("give a whole number");
        if (Finite(given) is var number && number != Math.Floor(number)) throw given.Refusal("give a whole number");
        if (number < least || number > int.MaxValue) throw given.Refusal($"give a number from {least} to {int.MaxValue}");
        return (int)number;
    }

    static double Finite(Given given) => given.Value is JsonValue value && value.GetValueKind() == JsonValueKind.Number
        && double.TryParse(value.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
        ? number
        : throw given.Refusal("give a number");

    static bool Flag(Given given) => given.Value?.GetValueKind() switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False or null => false,
        _ => throw given.Refusal("give true or false"),
    };

    static string Text(Given given) => given.Value is JsonValue value && value.GetValueKind() == JsonValueKind.String
        ? value.GetValue<string>()
        : throw given.Refusal("give a text");

    sealed class SameJson : IEqualityComparer<JsonNode?>
    {
        public bool Equals(JsonNode? a, JsonNode? b) => JsonNode.DeepEquals(a, b);
        public int GetHashCode(JsonNode? node) => 0;
    }
}
