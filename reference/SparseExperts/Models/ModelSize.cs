namespace SparseExperts.Models;

/// <summary>What a model needs besides its parameters (<see cref="ParameterCount"/>), from its sizes alone.</summary>
/// <param name="Operations">Floating-point operations of one forward pass over a sequence, two a multiply-add.</param>
/// <param name="Kept">
/// Numbers that a training keeps of one sequence until its backward pass, fitted to what <c>--profile</c> counts for the presets, within a fifth.
/// </param>
/// <param name="KeptToRecompute">The same where blocks are computed again.</param>
public sealed record ModelSize(double Operations, double Kept, double KeptToRecompute);
