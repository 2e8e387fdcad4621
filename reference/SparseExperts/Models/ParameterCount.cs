namespace SparseExperts.Models;

/// <summary>Numbers that a model trains, from its sizes alone: of models too that fit nowhere here.</summary>
/// <param name="Shared">Those that every rank of an expert-parallel machine holds.</param>
/// <param name="Expert">Those of one expert, over all sparse blocks.</param>
/// <param name="Experts">Experts of a sparse block.</param>
public readonly record struct ParameterCount(double Shared, double Expert, int Experts)
{
    public double All => Shared + Expert * Experts;

    /// <summary>What a token meets that has so many experts.</summary>
    public double OfToken(int experts) => Shared + Expert * Math.Min(experts, Experts);

    /// <summary>What one of so many ranks holds that share the experts.</summary>
    public double OfRank(int ranks) => Shared + Expert * Math.Ceiling((double)Experts / ranks);
}
