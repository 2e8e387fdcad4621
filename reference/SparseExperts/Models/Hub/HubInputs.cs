namespace SparseExperts.Models.Hub;

/// <summary>A padded batch as transformers is given one: rows of equal length.</summary>
/// <param name="Ids">Token ids, row by row.</param>
public sealed record HubInputs(int[] Ids, int Rows)
{
    /// <summary>1 for a token, 0 for padding; empty for no padding.</summary>
    public int[] Mask { get; init; } = [];

    /// <summary>Position of every token; empty for its column's number.</summary>
    public int[] Positions { get; init; } = [];

    /// <summary>What was computed of the text, one row without padding, that these tokens continue; null where texts are whole.</summary>
    internal KeyValueCache? Cache { get; init; }

    /// <summary>Random numbers of this step, and of the layer that reads them.</summary>
    internal LayerStreams Streams { get; init; }

    /// <summary>Of what each half of a layer adds, and of the experts' hidden layers; 0 but in training.</summary>
    internal double Dropout { get; init; }
    internal double ExpertDropout { get; init; }

    /// <summary>Columns before the first of these.</summary>
    public int Before => Cache?.Length ?? 0;

    public int Length => Ids.Length / Rows;

    /// <summary>Columns of keys: those before, and these.</summary>
    public int Keys => Before + Length;
    public bool IsReal(int row, int column) => Mask.Length == 0 || Mask[row * Length + column] != 0;
    public int Position(int row, int column) => Positions.Length == 0 ? Before + column : Positions[row * Length + column];

    /// <summary>The first unmasked column of a row; 0 where there is none.</summary>
    public int FirstReal(int row)
    {
        for (var column = 0; column < Length; column++)
            if (IsReal(row, column)) return column;
        return 0;
    }

    /// <summary>1 for a token, 0 for padding, as router calls want it; empty for no padding.</summary>
    public float[] TokenMask => [.. Mask.Select(m => m == 0 ? 0f : 1)];
}
