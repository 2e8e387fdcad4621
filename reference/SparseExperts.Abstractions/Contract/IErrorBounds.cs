namespace SparseExperts;

/// <summary>A backend whose numbers carry a bound on what float32 would have lost of them; tolerances are read from it.</summary>
public interface IErrorBounds
{
    /// <summary>False where this arithmetic has no bounds: they read as 0, and nothing may be widened for them.</summary>
    bool CarriesBounds { get; }

    void ReadErrors(Matrix from, Span<double> errors);

    /// <summary>Numbers with their bounds; without <paramref name="errors"/> they are exact.</summary>
    void WriteErrors(Matrix to, ReadOnlySpan<double> values, ReadOnlySpan<double> errors);
}
