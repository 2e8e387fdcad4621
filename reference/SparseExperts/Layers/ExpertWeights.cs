using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Layers;

/// <summary>The trained numbers of E experts, one below the other, and of what stands beside them. M width, F hidden width.</summary>
public sealed record ExpertWeights
{
    /// <summary>[E·M, F] and [E·F, M]; gated experts have a second first projection.</summary>
    public required Tensor Wi { get; init; }
    public Tensor? WiGate { get; init; }
    public required Tensor Wo { get; init; }

    /// <summary>[E, F], [E, F], [E, M].</summary>
    public Tensor? Bi { get; init; }
    public Tensor? BiGate { get; init; }
    public Tensor? Bo { get; init; }

    /// <summary>Shared expert: [M, F'], [M, F'], [F', M], and its gate [M, 1].</summary>
    public Tensor? SharedWi { get; init; }
    public Tensor? SharedWiGate { get; init; }
    public Tensor? SharedWo { get; init; }
    public Tensor? SharedGate { get; init; }

    /// <summary>Projections that the routed experts share, [M, L] and [L, M]; with them the experts have width L in place of M. Their norms [1, L].</summary>
    public Tensor? In { get; init; }
    public Tensor? Out { get; init; }
    public Tensor? InNorm { get; init; }
    public Tensor? PostNorm { get; init; }

    /// <summary>Added once to each token's sum [1, M].</summary>
    public Tensor? OutputBias { get; init; }

    /// <summary>Shared experts whose matrices stand one below the other: [N·M, F'], [N·M, F'], [N·F', M].</summary>
    public int SharedCount { get; init; } = 1;

    /// <summary>Learned pair that mixes routed and dense output: [M, 2] and [1, 2].</summary>
    public Tensor? PairWeight { get; init; }
    public Tensor? PairBias { get; init; }

    /// <summary>Part i of n equal parts of the experts; what stands beside them belongs to none.</summary>
    internal ExpertWeights Part(Tape tape, int i, int n)
    {
        Tensor Of(Tensor all) => tape.RowRange(all, i * (all.Rows / n), all.Rows / n);
        Tensor? OrNull(Tensor? all) => all is null ? null : Of(all);
        return new() { Wi = Of(Wi), WiGate = OrNull(WiGate), Wo = Of(Wo), Bi = OrNull(Bi), BiGate = OrNull(BiGate), Bo = OrNull(Bo) };
    }

    /// <summary>As they are used in a number format: rounded, where the optimizer keeps them wider.</summary>
    internal ExpertWeights ReadIn(InFormat rounded)
    {
        Tensor? Read(Tensor? weight) => weight is null ? null : rounded.Read(weight);
        return rounded.Format == NumberFormat.Float32 ? this : this with
        {
            Wi = rounded.Read(Wi),
            WiGate = Read(WiGate),
            Wo = rounded.Read(Wo),
            Bi = Read(Bi),
            BiGate = Read(BiGate),
            Bo = Read(Bo),
            SharedWi = Read(SharedWi),
            SharedWiGate = Read(SharedWiGate),
            SharedWo = Read(SharedWo),
            SharedGate = Read(SharedGate),
            In = Read(In),
            Out = Read(Out),
            InNorm = Read(InNorm),
            PostNorm = Read(PostNorm),
            OutputBias = Read(OutputBias),
            PairWeight = Read(PairWeight),
            PairBias = Read(PairBias),
        };
    }
}
