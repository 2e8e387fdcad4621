using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SparseExperts.Tests.Fuzz;

/// <summary>Changes of bytes and of JSON, whatever they mean.</summary>
static class Mutators
{
    /// <summary>A few changes: bits, bytes, runs of zeros, cuts, pieces twice.</summary>
    public static byte[] Bytes(Chance chance, byte[] bytes)
    {
        var changed = bytes.ToList();
        for (var n = 1 + chance.Below(3); n > 0 && changed.Count > 0; n--)
        {
            int at = chance.Below(changed.Count), length = Math.Min(1 + chance.Below(64), changed.Count - at);
            switch (chance.Below(6))
            {
                case 0: changed[at] ^= (byte)(1 << chance.Below(8)); break;
                case 1: changed[at] = chance.Of<byte>([0, 1, 0x7f, 0x80, 0xff, (byte)'"', (byte)'{', (byte)'0']); break;
                case 2: for (var i = 0; i < length; i++) changed[at + i] = 0; break;
                case 3: changed.RemoveRange(at, length); break;
                case 4: changed.InsertRange(at, changed.GetRange(at, length)); break;
                default: changed.RemoveRange(at, changed.Count - at); break;
            }
        }
        return [.. changed];
    }

    /// <summary>JSON with a value replaced, taken out or given twice, or with broken text. Texts that are JSON themselves are entered.</summary>
    /// <param name="names">Names that mean something to whoever reads it, with values for them.</param>
    public static string Json(Chance chance, string text, params IReadOnlyList<(string Name, string Value)> names)
    {
        if (chance.OneIn(12)) return Encoding.Latin1.GetString(Bytes(chance, Encoding.Latin1.GetBytes(text)));
        JsonNode? root;
        try
        {
            root = JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return text;
        }
        if (root is null) return Value(chance);
        List<JsonNode> all = [root];
        for (var i = 0; i < all.Count; i++)
            all.AddRange((all[i] switch { JsonObject o => o.Select(p => p.Value), JsonArray a => a, _ => Enumerable.Empty<JsonNode?>() }).OfType<JsonNode>());
        var node = chance.Of(all);
        var inner = node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : "";
        if (inner.StartsWith('{') && !chance.OneIn(4))
            return With(root, node, JsonSerializer.Serialize(Json(chance, inner, names)));
        if (node is not JsonObject json) return With(root, node, Value(chance));
        var (name, said) = names.Count > 0 && !chance.OneIn(4) ? chance.Of(names)
            : json.Count > 0 ? (chance.Of([.. json.Select(p => p.Key)]), Value(chance)) : ("a", "1");
        List<string> written = [.. json.Where(p => p.Key != name || chance.OneIn(3)).Select(p => Member(p.Key, p.Value?.ToJsonString() ?? "null"))];
        if (!chance.OneIn(5)) written.Add(Member(name, chance.OneIn(3) ? Value(chance) : said));
        return With(root, node, $"{{{string.Join(",", written)}}}");
    }

    static string Member(string name, string value) => $"{JsonSerializer.Serialize(name)}:{value}";

    /// <summary>The text of a tree in which a node has another text, which need not be JSON.</summary>
    static string With(JsonNode root, JsonNode node, string text)
    {
        if (ReferenceEquals(root, node)) return text;
        const string mark = "\"\\u2620here\\u2620\"";
        node.ReplaceWith(JsonNode.Parse(mark));
        return root.ToJsonString().Replace(mark, text, StringComparison.OrdinalIgnoreCase);
    }

    static string Value(Chance chance) => chance.Below(9) switch
    {
        0 => "null",
        1 => chance.Of(["true", "false"]),
        2 => JsonSerializer.Serialize(chance.Text()),
        3 => "[]",
        4 => "{\"a\":1,\"a\":2}",
        5 => new string('[', 70) + new string(']', 70),
        6 => chance.Of(["1e999", "-1e999", "9223372036854775807", "18446744073709551616", "-0", "1e-400", "0.1", "123456789012345678901234567890"]),
        _ => chance.Number() is var number && double.IsFinite(number) ? number.ToString("R", CultureInfo.InvariantCulture) : "NaN",
    };
}
