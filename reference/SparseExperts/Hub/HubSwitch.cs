namespace SparseExperts.Hub;

/// <summary>An encoder-decoder of the T5 family with Switch layers (transformers SwitchTransformers): both stacks embed with one matrix.</summary>
public sealed record HubSwitch : HubConfig
{
    /// <summary>Blocks of each stack; true where a block is sparse.</summary>
    public required IReadOnlyList<bool> Encoder { get; init; }
    public required IReadOnlyList<bool> Decoder { get; init; }

    /// <summary>Every so manyth block of a stack is sparse, from block 1 on; with 1 all are, and the stack's losses are 0; 0 for none.</summary>
    public required int EncoderStep { get; init; }
    public required int DecoderStep { get; init; }

    /// <summary>Width of a head.</summary>
    public required int HeadWidth { get; init; }

    /// <summary>Buckets of the relative positions of a stack, and the distance from which on all are one.</summary>
    public required int Buckets { get; init; }
    public required int MaxDistance { get; init; }

    /// <summary>Dropout while training.</summary>
    public required double Dropout { get; init; }

    /// <summary>What decoding begins with.</summary>
    public required int DecoderStart { get; init; }

    /// <summary>Factor on the last hidden states before the logits: M^−½ where they are tied to the embedding.</summary>
    public double LogitsScale => Tied ? 1 / Math.Sqrt(Width) : 1;
}
