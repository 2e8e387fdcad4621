namespace SparseExperts.Models;

/// <summary>Sequences of equal length: what a model reads and what an objective compares.</summary>
/// <param name="Ids">Token ids, sequence by sequence.</param>
public sealed record TokenBatch(int[] Ids, int Sequences)
{
    /// <summary>What should come out, one a token; empty where nothing is compared.</summary>
    public int[] Labels { get; init; } = [];

    /// <summary>Task of every sequence; empty means that all have task 0.</summary>
    public int[] Tasks { get; init; } = [];

    /// <summary>A run of its sequences.</summary>
    public TokenBatch Part(int first, int count)
    {
        int[] Of(int[] values)
        {
            var each = values.Length / Sequences;
            return values[(first * each)..((first + count) * each)];
        }
        return new(Of(Ids), count) { Labels = Of(Labels), Tasks = Of(Tasks) };
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
