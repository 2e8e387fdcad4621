using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>
/// What is made of a text: windows whose every next byte (token, where the run has a tokenizer) is predicted, T5's pairs of a text with gaps and what was
/// in them, or tasks.
/// </summary>
public enum DataKind { Bytes, Spans, Tasks }

/// <summary>What a run learns from and is measured on: one text, of which the last 5 % are held out.</summary>
public abstract class RunData(ByteText text)
{
    public ByteText Text { get; } = text;

    /// <summary>What makes ids of the text; null for bytes as they are.</summary>
    public RunTokenizer? Tokenizer { get; internal init; }

    /// <summary>What a loss is counted by, for people.</summary>
    public abstract string Unit { get; }

    /// <summary>Batches of training steps.</summary>
    public abstract IBatches Batches(TrainingConfig training);

    /// <summary>Held-out batches in order.</summary>
    /// <param name="sequences">Of a batch at most.</param>
    /// <param name="windows">Sequences at most.</param>
    public abstract IEnumerable<TokenBatch> HeldOut(int sequences, int windows);

    /// <summary>Another text, held out as a whole, in windows that follow each other.</summary>
    /// <param name="leftOut">Bytes at its end that fill no window.</param>
    public abstract IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut);

    /// <summary>Refuses a text whose held-out part has no window: a training would meet that at its end.</summary>
    /// <exception cref="DataException">It has none; one line.</exception>
    public void RequireHeldOut()
    {
        foreach (var (_, part) in Parts) part.RequireHeldOut();
        if (Parts.Count > 0) return;
        try
        {
            _ = HeldOut(1, 1).First();
        }
        catch (DataException e)
        {
            throw new DataException($"{Text.Path}, its last 5 %, which are held out: {e.Message}", [.. e.Settings]);
        }
    }

    /// <summary>How many targets a model writes exactly; null where the data are no tasks.</summary>
    public virtual ExactMatch? Exact(Predictor predictor, IEnumerable<TokenBatch> batches) => null;

    /// <summary>A token as text, for reports.</summary>
    public abstract string Show(int id);

    /// <summary>A new model's configuration with the lengths and ids that the data have.</summary>
    public virtual IModelConfig Fitted(IModelConfig model) => model;

    /// <summary>Languages with held-out parts of their own; empty where the text is one.</summary>
    public virtual IReadOnlyList<(string Name, RunData Data)> Parts => [];

    /// <summary>Data of a kind for a model: of one text, or of a mixture of the languages in its folder.</summary>
    /// <param name="mixture">Temperature of the mixture; null for one text.</param>
    /// <param name="spans">What is taken out of the text; null where the data are no spans.</param>
    /// <exception cref="ConfigurationException">The model cannot learn from it; one line.</exception>
    public static RunData Of(DataKind kind, ByteText text, IModelConfig model, RunTokenizer? tokenizer, double? mixture,
        SpanCorruption? spans)
    {
        if (mixture is not { } temperature) return Of(kind, text, model, tokenizer, spans);
        if (kind == DataKind.Tasks) throw new ConfigurationException("a mixture is of texts, not of tasks", "mixture", "data");
        var languages = Languages.Load(text.Path, model.Context).Select(l => (l.Name, Of(kind, l.Text, model, tokenizer, spans)));
        return new LanguageData(text, model, [.. languages], temperature) { Tokenizer = tokenizer };
    }

    /// <summary>Data of a kind for a model, of one text.</summary>
    /// <exception cref="ConfigurationException">The model cannot learn from it; one line.</exception>
    public static RunData Of(DataKind kind, ByteText text, IModelConfig model, RunTokenizer? tokenizer, SpanCorruption? spans)
    {
        ITokenizer ids = tokenizer?.Tokenizer ?? new ByteTokenizer();
        return (kind, model) switch
        {
            (DataKind.Bytes, ITextToTextConfig) =>
                throw new ConfigurationException("a model with an encoder and a decoder learns from spans, not bytes", "data"),
            (DataKind.Bytes, _) when tokenizer is null => new ByteData(text, model),
            (DataKind.Bytes, _) => new TokenData(text, model, tokenizer.Tokenizer) { Tokenizer = tokenizer },
            (DataKind.Spans, ITextToTextConfig pair) => new SpanData(text, pair, ids, spans ?? new()) { Tokenizer = tokenizer },
            (DataKind.Tasks, ITextToTextConfig pair) => new TaskData(text, pair, ids) { Tokenizer = tokenizer },
            (DataKind.Tasks, _) => throw new ConfigurationException($"tasks are for models with an encoder and a decoder, and {model.Title} has none", "data"),
            (DataKind.Spans, _) => throw new ConfigurationException($"spans are for models with an encoder and a decoder, and {model.Title} has none", "data"),
            var (other, _) => throw new ConfigurationException($"data {other}: unknown"),
        };
    }

    /// <summary>Ids that a new model needs for a tokenizer; null for bytes, for which presets are made.</summary>
    public static int? Vocabulary(IModelConfig model, RunTokenizer? tokenizer) => tokenizer is null ? null
        : model is ITextToTextConfig ? TextToTextIds.Of(tokenizer.Tokenizer).Vocabulary
        : tokenizer.Tokenizer.Vocabulary;

    /// <summary>An embedding that has fewer rows than there are ids is another model's.</summary>
    private protected static void RequireIds(int ids, IModelConfig model)
    {
        if (model.Vocabulary < ids)
            throw new ConfigurationException($"the text has ids up to {ids - 1} and the model {model.Vocabulary}; choose the model's tokenizer", "tokenizer");
    }

    /// <summary>The kind that a model learns from where nobody says.</summary>
    /// <param name="path">Of the text; empty where there is none.</param>
    public static DataKind UsualKind(IModelConfig model, string path = "") => model is not ITextToTextConfig ? DataKind.Bytes
        : path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) ? DataKind.Tasks : DataKind.Spans;

    /// <summary>
    /// What is taken out of a text where nobody says: spans of three tokens in the mean, as in T5 (Raffel et al. 2020, section 3.1.4), or of twenty bytes, as
    /// in ByT5 (Xue et al. 2022, section 3.1); null where the data are no spans.
    /// </summary>
    public static SpanCorruption? UsualSpans(DataKind kind, RunTokenizer? tokenizer) =>
        kind != DataKind.Spans ? null : tokenizer is null ? new(MeanSpanLength: 20) : new();

    /// <summary>What a model learns from a text where nobody says more.</summary>
    /// <exception cref="ConfigurationException">The model cannot learn from it; one line.</exception>
    public static RunData AsUsual(ByteText text, IModelConfig model, RunTokenizer? tokenizer = null)
    {
        var kind = UsualKind(model, text.Path);
        return Of(kind, text, model, tokenizer, UsualSpans(kind, tokenizer));
    }

    /// <summary>The text as a kind of data needs it: windows need some length, a file of tasks does not.</summary>
    public static ByteText LoadText(DataKind kind, string path, IModelConfig model) => ByteText.Load(path, kind == DataKind.Tasks ? 0 : model.Context);
}
