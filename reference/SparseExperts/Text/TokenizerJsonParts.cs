using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>Reads <c>normalizer</c>, and the patterns that stand there.</summary>
static class NormalizerJson
{
    public static Normalizer Read(JsonPart part) => part.IsMissing ? text => text : part.Type switch
    {
        "Sequence" => Normalizers.Sequence([.. part["normalizers"].Each().Select(Read)]),
        "Prepend" => Normalizers.Prepend(part["prepend"].Text()),
        "Replace" => Normalizers.Replace(PatternOf(part["pattern"]), part["content"].Text()),
        "NFC" => Normalizers.Form(composed: true, compatible: false),
        "NFD" => Normalizers.Form(composed: false, compatible: false),
        "NFKC" => Normalizers.Form(composed: true, compatible: true),
        "NFKD" => Normalizers.Form(composed: false, compatible: true),
        "Lowercase" => Normalizers.Lowercase(),
        "Strip" => Normalizers.Strip(part["strip_left"].Flag(true), part["strip_right"].Flag(true)),
        "Precompiled" => Normalizers.Precompiled(new(Bytes(part["precompiled_charsmap"]))),
        _ => throw part.Unsupported(),
    };

    static byte[] Bytes(JsonPart part)
    {
        try
        {
            return Convert.FromBase64String(part.Text());
        }
        catch (FormatException)
        {
            throw part.Wrong("base64");
        }
    }

    /// <summary><c>{"Regex": …}</c> or <c>{"String": …}</c>.</summary>
    public static SplitPattern PatternOf(JsonPart part)
    {
        if (!part["Regex"].IsMissing) return SplitPattern.Of(part["Regex"].Text());
        return part["String"].IsMissing ? throw part.Wrong("a Regex or a String") : SplitPattern.Literal(part["String"].Text());
    }
}

/// <summary>Reads <c>pre_tokenizer</c>.</summary>
static class PreTokenizerJson
{
    public static PreTokenizer Read(JsonPart part) => part.IsMissing ? piece => [piece] : part.Type switch
    {
        "Sequence" => Splitting.Sequence([.. part["pretokenizers"].Each().Select(Read)]),
        "ByteLevel" => ByteLevel.Split(part["add_prefix_space"].Flag(true), part["use_regex"].Flag(true)),
        "Split" => NormalizerJson.PatternOf(part["pattern"]).Cut(Behaviour(part["behavior"]), part["invert"].Flag(false)),
        "Metaspace" => Splitting.Metaspace(Mark(part), Scheme(part), part["split"].Flag(true)),
        "Digits" => Splitting.Digits(part["individual_digits"].Flag(false)),
        "WhitespaceSplit" => Splitting.Whitespace(),
        _ => throw part.Unsupported(),
    };

    static SplitBehaviour Behaviour(JsonPart part) => part.Text() switch
    {
        "Removed" => SplitBehaviour.Removed,
        "Isolated" => SplitBehaviour.Isolated,
        "MergedWithPrevious" => SplitBehaviour.MergedWithPrevious,
        "MergedWithNext" => SplitBehaviour.MergedWithNext,
        "Contiguous" => SplitBehaviour.Contiguous,
        var other => throw new DataException($"{part.Place}: '{other}' is unsupported") { IsUnsupported = true },
    };

    public static Rune Mark(JsonPart part)
    {
        var text = part["replacement"].Text("▁");
        return text.Length == 1 && !char.IsSurrogate(text[0]) ? new(text[0]) : throw part["replacement"].Wrong("one character");
    }

    /// <summary>Older files say <c>add_prefix_space</c> instead.</summary>
    public static PrependScheme Scheme(JsonPart part) => part["prepend_scheme"].Text(part["add_prefix_space"].Flag(true) ? "always" : "never") switch
    {
        "always" => PrependScheme.Always,
        "first" => PrependScheme.First,
        "never" => PrependScheme.Never,
        var other => throw new DataException($"{part.Place}.prepend_scheme: '{other}' is unsupported") { IsUnsupported = true },
    };
}

/// <summary>Reads <c>decoder</c>.</summary>
static class DecoderJson
{
    public static Decoder Read(JsonPart part) => part.IsMissing ? Decoders.Spaced : part.Type switch
    {
        "Sequence" => Decoders.Sequence([.. part["decoders"].Each().Select(Read)]),
        "ByteLevel" => ByteLevel.Decode,
        "Metaspace" => Decoders.Metaspace((char)PreTokenizerJson.Mark(part).Value, PreTokenizerJson.Scheme(part)),
        "ByteFallback" => Decoders.ByteFallback,
        "Fuse" => Decoders.Fuse,
        "Replace" when !part["pattern"]["String"].IsMissing => Decoders.Replace(part["pattern"]["String"].Text(), part["content"].Text()),
        "Strip" when part["content"].Text() is { Length: 1 } letter => Decoders.Strip(letter[0], part["start"].Whole(1 << 20), part["stop"].Whole(1 << 20)),
        _ => throw part.Unsupported(),
    };
}

/// <summary>Reads <c>post_processor</c>: what a template puts around a text, and whether places leave white space out.</summary>
static class PostProcessorJson
{
    public static (int[] Before, int[] Behind) Template(JsonPart part)
    {
        if (part.IsMissing || part.Type == "ByteLevel") return ([], []);
        if (part.Type == "TemplateProcessing") return Around(part);
        if (part.Type != "Sequence") throw part.Unsupported();
        return part["processors"].Each().Select(Template).Aggregate(
            (Before: Array.Empty<int>(), Behind: Array.Empty<int>()),
            (all, one) => ([.. one.Before, .. all.Before], [.. all.Behind, .. one.Behind]));
    }

    static (int[] Before, int[] Behind) Around(JsonPart part)
    {
        var (before, behind, texts) = (new List<int>(), new List<int>(), 0);
        foreach (var step in part["single"].Each())
            if (!step["Sequence"].IsMissing) texts++;
            else (texts == 0 ? before : behind).AddRange(Ids(part["special_tokens"], step["SpecialToken"]["id"]));
        return texts == 1 ? ([.. before], [.. behind]) : throw part["single"].Wrong("special tokens around one text");
    }

    static IEnumerable<int> Ids(JsonPart tokens, JsonPart name)
    {
        var token = tokens[name.Text()];
        if (token.IsMissing) throw new DataException($"{name.Place}: '{name.Text()}' is not among {tokens.Place}");
        return token["ids"].Each().Select(id => id.Whole(TokenizerJson.MostIds));
    }

    public static Func<string, (int Start, int End), bool, (int Start, int End)>? Places(JsonPart part)
    {
        if (part.Type == "Sequence") return part["processors"].Each().Select(Places).FirstOrDefault(p => p is not null);
        if (part.Type != "ByteLevel" || !part["trim_offsets"].Flag(true)) return null;
        var added = part["add_prefix_space"].Flag(true);
        return (token, place, isFirst) => ByteLevel.Trimmed(token, place, isFirst, added);
    }
}
