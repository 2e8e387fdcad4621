namespace SparseExperts;

/// <summary>A backend that loses up to a unit of float32 at random in every operation: several runs show how far rounding spreads.</summary>
public interface IDisturbs
{
    /// <summary>False where this arithmetic computes the same in every run.</summary>
    bool Disturbs { get; }

    /// <summary>Draws of a further run, on the calling thread.</summary>
    void Begin(int run);
}
