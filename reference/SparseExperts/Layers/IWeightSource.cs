namespace SparseExperts.Layers;

/// <summary>Where the numbers of a model come from: start values, a checkpoint, or another library's files by a table of names.</summary>
public interface IWeightSource
{
    /// <summary>Looks whether it can give the part; called for every matrix before the first is filled.</summary>
    /// <exception cref="Exception">It cannot; one line says why, and nothing has been read.</exception>
    void Declare(WeightPart part);

    /// <summary>What the part's numbers are stored in: two bytes where none of them needs more.</summary>
    ElementType TypeOf(WeightPart part) => ElementType.Real;

    /// <summary>
    /// Writes the part's numbers straight into the memory that the model keeps, in whatever format that has, one matrix after the other: no second copy of
    /// the model exists on the way.
    /// </summary>
    /// <param name="start">What the matrix starts with where it is not loaded.</param>
    /// <param name="to">Shape of the part.</param>
    void Fill(WeightPart part, Start start, IBackend backend, Matrix to);
}

/// <summary>Start values from a counter-based generator (<see cref="Start"/>).</summary>
public sealed class StartValues(ulong seed) : IWeightSource
{
    public void Declare(WeightPart part)
    {
    }

    public void Fill(WeightPart part, Start start, IBackend backend, Matrix to) => backend.Write(to, (ReadOnlySpan<float>)Of(part, start));

    /// <summary>The part's start values, row by row.</summary>
    public float[] Of(WeightPart part, Start start)
    {
        var stream = new Streams(seed).Named(part.Name);
        var values = new float[part.Shape.Rows * part.Shape.Columns];
        var next = 0;
        foreach (var (first, count) in part.Runs())
            for (var i = 0; i < count; i++) values[next++] = (float)start(stream, (ulong)(first + i));
        return values;
    }
}
