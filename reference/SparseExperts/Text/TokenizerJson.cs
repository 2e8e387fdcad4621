using System.Text.Json;
using SparseExperts.Data;
using SparseExperts.Formats;

namespace SparseExperts.Text;

/// <summary>
/// Reads a <c>tokenizer.json</c>: models BPE and Unigram, the normalizers, pre-tokenizers, post-processors and decoders that language models with experts come
/// with. What it does not know it names, and reads nothing.
/// </summary>
static class TokenizerJson
{
    /// <summary>No id is above it.</summary>
    public const int MostIds = 1 << 22;

    /// <exception cref="DataException">The file is broken or has a part of an unknown kind; one line.</exception>
    public static ITokenizer Read(ReadOnlyMemory<byte> json)
    {
        using var document = Parse(json);
        var file = new JsonPart(document.RootElement, "");
        var (vocabulary, model) = Model(file["model"]);
        var added = file["added_tokens"].Each().Select(token => Added(token, vocabulary)).ToArray();
        if (added.GroupBy(t => t.Id).FirstOrDefault(g => g.Count() > 1) is { } twice) throw new DataException($"added_tokens: two have the id {twice.Key}");
        return new JsonTokenizer(vocabulary, added, NormalizerJson.Read(file["normalizer"]))
        {
            Kind = $"tokenizer.json, {(model is BpeModel ? "BPE" : "unigram")}",
            PreTokenizer = PreTokenizerJson.Read(file["pre_tokenizer"]),
            Model = model,
            Decoder = DecoderJson.Read(file["decoder"]),
            Template = PostProcessorJson.Template(file["post_processor"]),
            Places = PostProcessorJson.Places(file["post_processor"]),
        };
    }

    static JsonDocument Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new DataException($"no JSON ({JsonTrouble.Why(e)})");
        }
    }

    /// <summary>A token that the model has as well has the model's id.</summary>
    static AddedToken Added(JsonPart token, Vocabulary vocabulary) => new(
        vocabulary.Find(token["content"].Text()) ?? token["id"].Whole(MostIds),
        token["content"].Text(),
        token["special"].Flag(false),
        token["single_word"].Flag(false),
        token["lstrip"].Flag(false),
        token["rstrip"].Flag(false),
        token["normalized"].Flag(true));

    /// <summary>Older files do not say the type of a model with merges.</summary>
    static (Vocabulary, IPieceModel) Model(JsonPart model) => model.Type switch
    {
        "BPE" => Bpe(model),
        null when !model["merges"].IsMissing => Bpe(model),
        "Unigram" => Unigram(model),
        null => throw new DataException("model.type: missing; the file is no tokenizer, or a broken one"),
        _ => throw model.Unsupported(),
    };

    static (Vocabulary, IPieceModel) Bpe(JsonPart model)
    {
        if (!model["dropout"].IsMissing && model["dropout"].Number() != 0)
            throw new DataException("model.dropout: merges that are left out by chance are unsupported") { IsUnsupported = true };
        foreach (var name in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
            if (model[name].Text("").Length > 0)
                throw new DataException($"{model[name].Place}: '{model[name].Text()}' is unsupported") { IsUnsupported = true };
        var vocabulary = new Vocabulary(model["vocab"].Entries().Select(e => KeyValuePair.Create(e.Name, e.Value.Whole(MostIds))));
        return (vocabulary, new BpeModel(vocabulary, Merges(model["merges"], vocabulary))
        {
            WholeWordsFirst = model["ignore_merges"].Flag(false),
            Bytes = model["byte_fallback"].Flag(false) ? vocabulary.Bytes() : null,
            Unknown = model["unk_token"].IsMissing ? null : Known(model["unk_token"], model["unk_token"].Text(), vocabulary),
            FusesUnknown = model["fuse_unk"].Flag(false),
        });
    }

    static BytePairs Merges(JsonPart list, Vocabulary vocabulary)
    {
        var merges = new BytePairs();
        var rank = 0;
        foreach (var merge in list.Each())
        {
            var (left, right) = Pair(merge);
            merges.Add(Known(merge, left, vocabulary), Known(merge, right, vocabulary), rank++, Known(merge, left + right, vocabulary));
        }
        return merges;
    }

    /// <summary><c>["a", "b"]</c>, or <c>"a b"</c> in older files.</summary>
    static (string, string) Pair(JsonPart merge)
    {
        string[] pair = merge.Value.ValueKind == JsonValueKind.Array ? [.. merge.Each().Select(e => e.Text())] : merge.Text().Split(' ');
        return pair is [var left, var right] ? (left, right) : throw merge.Wrong("two tokens");
    }

    static int Known(JsonPart where, string token, Vocabulary vocabulary) =>
        vocabulary.Find(token) ?? throw new DataException($"{where.Place}: token '{token}' is not in the vocabulary");

    static (Vocabulary, IPieceModel) Unigram(JsonPart model)
    {
        var pieces = new List<(string Piece, double? Score)>();
        foreach (var entry in model["vocab"].Each())
        {
            JsonPart[] pair = [.. entry.Each()];
            if (pair.Length != 2) throw entry.Wrong("a token and its score");
            pieces.Add((pair[0].Text(), pair[1].Number()));
        }
        if (pieces.Count == 0) throw new DataException("model.vocab: has no tokens");
        if (pieces.Count > MostIds) throw new DataException($"model.vocab: {pieces.Count} tokens, at most {MostIds}");
        var vocabulary = new Vocabulary(pieces.Select((p, id) => KeyValuePair.Create(p.Piece, id)));
        var unknown = model["unk_id"].IsMissing ? (int?)null : model["unk_id"].Whole(pieces.Count - 1);
        var bytes = model["byte_fallback"].Flag(false) ? vocabulary.Bytes() : null;
        return (vocabulary, new UnigramModel(pieces, pieces.Min(p => p.Score ?? 0), unknown, bytes, inSingle: false));
    }
}
