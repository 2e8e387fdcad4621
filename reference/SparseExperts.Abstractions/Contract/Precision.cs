namespace SparseExperts;

/// <summary>
/// How a backend may compute products of matrices, attention's excepted. <see cref="Exact"/>: as docs/numerics.md defines them, bit for bit.
/// The others: in any order, sums in float32, factors as they are (<see cref="F32"/>), rounded to 10 bits of fraction (<see cref="Tf32"/>) or to 7
/// (<see cref="Bf16"/>). Routers stay exact whatever is chosen (Fedus et al. 2022, section 2.4): see <see cref="IBackend.Exactly"/>.
/// </summary>
public enum Precision { Exact, F32, Tf32, Bf16 }

public static class PrecisionFacts
{
    /// <summary>As users write it and as configurations keep it: exact, f32, tf32, bf16.</summary>
    public static string Text(this Precision precision) => precision.ToString().ToLowerInvariant();

    /// <summary>The relative error of a factor: half a unit of its last place, 0 where factors are not rounded.</summary>
    public static double OperandError(this Precision precision) => precision switch
    {
        Precision.Exact or Precision.F32 => 0,
        Precision.Tf32 => 1.0 / 2048,
        Precision.Bf16 => 1.0 / 256,
        _ => throw new ArgumentOutOfRangeException(nameof(precision), precision, "unknown precision"),
    };
}

/// <summary>The scope of a backend that need not do anything else in it.</summary>
sealed class NothingToDo : IDisposable
{
    public static readonly NothingToDo Scope = new();
    public void Dispose() { }
}
