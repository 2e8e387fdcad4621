namespace SparseExperts.Layers;

/// <summary>A run of <see cref="Count"/> numbers from <see cref="First"/> on.</summary>
public readonly record struct WeightRun(int First, int Count);

/// <summary>
/// A named matrix of a model, or the part of it that a shard holds: <see cref="Stack"/> matrices [<see cref="Rows"/>, <see cref="Columns"/>], one below the
/// other (experts), and which of the matrices, of the rows of each, and of the columns are meant.
/// </summary>
/// <param name="Name">Path of the matrix: the name that it has in checkpoints.</param>
/// <param name="Stack">Matrices of the whole; 1 where it is no stack.</param>
/// <param name="Rows">Rows of one matrix of the whole.</param>
public sealed record WeightPart(string Name, int Stack, int Rows, int Columns)
{
    /// <summary>Which matrices of the stack.</summary>
    public WeightRun Matrices { get; init; } = new(0, Stack);

    /// <summary>Which rows of each of them.</summary>
    public WeightRun RowsOfEach { get; init; } = new(0, Rows);

    /// <summary>Which columns.</summary>
    public WeightRun ColumnsOfEach { get; init; } = new(0, Columns);

    /// <summary>Shape of the part: its matrices one below the other.</summary>
    public (int Rows, int Columns) Shape => (checked(Matrices.Count * RowsOfEach.Count), ColumnsOfEach.Count);

    public bool IsWhole => Matrices == new WeightRun(0, Stack) && RowsOfEach == new WeightRun(0, Rows) && ColumnsOfEach == new WeightRun(0, Columns);

    /// <summary>Runs of neighbours in the whole, row by row, that make up the part in its own order.</summary>
    public IEnumerable<(long First, int Count)> Runs()
    {
        for (var m = Matrices.First; m < Matrices.First + Matrices.Count; m++)
            for (var r = RowsOfEach.First; r < RowsOfEach.First + RowsOfEach.Count; r++)
                yield return (((long)m * Rows + r) * Columns + ColumnsOfEach.First, ColumnsOfEach.Count);
    }

    /// <summary>The part of a matrix that has all of its numbers.</summary>
    /// <param name="whole">[Stack·Rows, Columns], row by row.</param>
    public float[] Of(ReadOnlySpan<float> whole)
    {
        var part = new float[Shape.Rows * Shape.Columns];
        var next = 0;
        foreach (var (first, count) in Runs())
        {
            whole.Slice((int)first, count).CopyTo(part.AsSpan(next));
            next += count;
        }
        return part;
    }

    internal void Validate()
    {
        static bool Within(WeightRun run, int count) => run is { First: >= 0, Count: > 0 } && (long)run.First + run.Count <= count;
        if (!Within(Matrices, Stack) || !Within(RowsOfEach, Rows) || !Within(ColumnsOfEach, Columns))
            throw new ArgumentException(
                $"{Name}: matrices {Matrices}, rows {RowsOfEach}, columns {ColumnsOfEach} are no part of {Stack} × [{Rows}, {Columns}]");
    }
}
