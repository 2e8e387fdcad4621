namespace SparseExperts.Models;

/// <summary>Sequences of equal length: what a model reads and what an objective compares.</summary>
/// <param name="Ids">Token ids, sequence by sequence.</param>
public sealed record TokenBatch(int[] Ids, int Sequences)
{
    /// <summary>A label that counts for nothing.</summary>
    public const int NoLabel = -100;

    /// <summary>What should come out, one a token (one a token of the decoder, where there are two stacks); empty where nothing is compared.</summary>
    public int[] Labels { get; init; } = [];

    /// <summary>What a decoder beside the encoder reads, sequences of equal length as well; empty for models of one stack.</summary>
    public int[] DecoderIds { get; init; } = [];

    /// <summary>1 where an id is a token and 0 where it is padding; empty where all are tokens.</summary>
    public int[] Mask { get; init; } = [];

    /// <summary>Bytes of text that the labels of every sequence stand for; empty means a byte a label.</summary>
    public int[] Bytes { get; init; } = [];

    /// <summary>Task of every sequence; empty means that all have task 0.</summary>
    public int[] Tasks { get; init; } = [];

    /// <summary>Labels that are compared.</summary>
    public int Compared => Labels.Length - Labels.AsSpan().Count(NoLabel);

    /// <summary>Bytes that the labels stand for.</summary>
    public long LabelBytes => Bytes.Length > 0 ? Bytes.Sum(b => (long)b) : Compared;

    /// <summary>What bits of a label become bits of a byte by.</summary>
    public double LabelsPerByte => Bytes.Length > 0 ? (double)Compared / LabelBytes : 1;

    /// <summary>Whether its parts may differ in how many tokens are real or labels compared.</summary>
    internal bool IsUneven => HasPadding || Compared < Labels.Length;

    /// <summary>Whether the ids have padding among them.</summary>
    internal bool HasPadding => Mask.Contains(0);

    /// <summary>Batches of the same lengths as one.</summary>
    public static TokenBatch Join(IReadOnlyList<TokenBatch> batches) =>
        new([.. batches.SelectMany(b => b.Ids)], batches.Sum(b => b.Sequences))
        {
            Labels = [.. batches.SelectMany(b => b.Labels)],
            DecoderIds = [.. batches.SelectMany(b => b.DecoderIds)],
            Mask = [.. batches.SelectMany(b => b.Mask)],
            Bytes = [.. batches.SelectMany(b => b.Bytes)],
            Tasks = [.. batches.SelectMany(b => b.Tasks)],
        };

    /// <summary>A run of its sequences.</summary>
    public TokenBatch Part(int first, int count)
    {
        int[] Of(int[] values)
        {
            var each = values.Length / Sequences;
            return values[(first * each)..((first + count) * each)];
        }
        return new(Of(Ids), count)
        {
            Labels = Of(Labels),
            DecoderIds = Of(DecoderIds),
            Mask = Of(Mask),
            Bytes = Of(Bytes),
            Tasks = Of(Tasks),
        };
    }
}

/// <summary>How a model is run over a batch; the default is an evaluation.</summary>
public readonly record struct Pass
{
    public bool Training { get; init; }

    /// <summary>Random numbers; every use has streams of its own.</summary>
    public Streams Streams { get; init; }

    /// <summary>Number of the training step, from 1.</summary>
    public long Step { get; init; }

    /// <summary>What was computed of the text that the batch, one sequence in evaluation, continues.</summary>
    public KeyValueCache? Cache { get; init; }
}
