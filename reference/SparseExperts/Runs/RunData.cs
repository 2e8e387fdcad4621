using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>What is made of a text: windows whose every next byte is predicted, T5's pairs of a text with gaps and what was in them, or tasks.</summary>
public enum DataKind { Bytes, Spans, Tasks }

/// <summary>What a run learns from and is measured on: one text, of which the last 5 % are held out.</summary>
public abstract class RunData(ByteText text)
{
    public ByteText Text { get; } = text;

    /// <summary>What a loss is counted by, for people.</summary>
    public abstract string Unit { get; }

    /// <summary>Batches of training steps.</summary>
    public abstract IBatches Batches(TrainingConfig training);

    /// <summary>Held-out batches in order.</summary>
    /// <param name="sequences">Of a batch at most.</param>
    /// <param name="windows">Sequences at most.</param>
    public abstract IEnumerable<TokenBatch> HeldOut(int sequences, int windows);

    /// <summary>Another text, all of it held out.</summary>
    public abstract IEnumerable<TokenBatch> Of(ByteText other, int sequences);

    /// <summary>How many targets a model writes exactly; null where the data are no tasks.</summary>
    public virtual ExactMatch? Exact(Predictor predictor, IEnumerable<TokenBatch> batches) => null;

    /// <summary>A token as text, for reports.</summary>
    public abstract string Show(int id);

    /// <summary>A new model's configuration with the lengths and ids that the data have.</summary>
    public virtual IModelConfig Fitted(IModelConfig model) => model;

    /// <summary>Data of a kind for a model.</summary>
    /// <exception cref="ConfigurationException">The model cannot learn from it; one line.</exception>
    public static RunData Of(DataKind kind, ByteText text, IModelConfig model) => (kind, model) switch
    {
        (DataKind.Bytes, T5Config) => throw new ConfigurationException("a model with an encoder and a decoder learns from spans, not bytes", "data"),
        (DataKind.Bytes, _) => new NextBytes(text, model),
        (DataKind.Spans, T5Config t5) => new ByteSpans(text, t5),
        (DataKind.Tasks, T5Config t5) => new TaskData(text, t5, new ByteTokenizer()),
        (DataKind.Tasks, _) => throw new ConfigurationException($"{model.Family}: tasks are for models with an encoder and a decoder", "data", "preset"),
        (DataKind.Spans, _) => throw new ConfigurationException($"{model.Family}: spans are for models with an encoder and a decoder", "data", "preset"),
        var (other, _) => throw new ConfigurationException($"data {other}: unknown"),
    };

    /// <summary>The kind that a model learns from where nobody says.</summary>
    public static DataKind UsualKind(IModelConfig model, string path) => model is not T5Config ? DataKind.Bytes
        : path.EndsWith(".jsonl", StringComparison.OrdinalIgnoreCase) ? DataKind.Tasks : DataKind.Spans;

    /// <summary>The text as a kind of data needs it: windows need some length, a file of tasks does not.</summary>
    public static ByteText LoadText(DataKind kind, string path, IModelConfig model) => ByteText.Load(path, kind == DataKind.Tasks ? 1 : model.Context);
}

/// <summary>Windows of bytes, each label the byte after its input.</summary>
sealed class NextBytes(ByteText text, IModelConfig model) : RunData(text)
{
    public override string Unit => "byte";
    public override IBatches Batches(TrainingConfig training) => new ByteBatches(Text, training.Seed, training.Batch, model);

    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) =>
        ByteBatches.Windows(Text.HeldOut.ToArray(), model, sequences, windows);

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences) =>
        ByteBatches.Windows((byte[])[.. other.Train, .. other.HeldOut], model, sequences);

    public override string Show(int id) => ((char)id).ToString();
}

/// <summary>Span corruption of bytes: what was taken out of a window is predicted, behind its sentinels.</summary>
sealed class ByteSpans : RunData
{
    /// <summary>Seed of the spans of held-out text, the same for all runs.</summary>
    const ulong HeldOutSeed = 1;

    static readonly TextToTextIds Ids = TextToTextIds.Bytes;
    static readonly SpanCorruption Corruption = new();

    readonly T5Config _model;
    readonly (int Encoder, int Decoder) _lengths;

    public ByteSpans(ByteText text, T5Config model) : base(text)
    {
        if (model.Vocabulary < Ids.Vocabulary)
            throw new ConfigurationException($"spans of bytes have {Ids.Vocabulary} ids, the model has {model.Vocabulary}; choose a model with more");
        _model = model;
        _lengths = Spans(text.Train, 0, 1).Lengths;
    }

    public override string Unit => "label";
    public override IBatches Batches(TrainingConfig training) => Spans(Text.Train, training.Seed, training.Batch);
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) => Spans(Text.HeldOut, HeldOutSeed, sequences).Windows(windows);

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences) =>
        Spans([.. other.Train, .. other.HeldOut], HeldOutSeed, sequences).Windows();

    public override IModelConfig Fitted(IModelConfig model) => _model with
    {
        Context = _lengths.Encoder,
        TargetContext = _lengths.Decoder,
        PaddingId = Ids.Padding,
        StartId = Ids.Start,
        EndId = Ids.End,
    };

    public override string Show(int id) => id < 256 ? ((char)id).ToString() : Sentinels.Show(id, Ids);

    SpanBatches Spans(ReadOnlySpan<byte> bytes, ulong seed, int sequences) =>
        new(Array.ConvertAll(bytes.ToArray(), b => (int)b), Ids, Corruption, _model.Context, seed, sequences);
}
