using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>A routed call as its file claims it: every stage is made from the claims before it.</summary>
/// <param name="Tape">Where more can be computed from it, with error bounds, until it is disposed of.</param>
/// <param name="Expected">Who should have chosen whom.</param>
/// <param name="Decided">Who is claimed to have, the capacity, and what priorities there are.</param>
sealed record ClaimedCall(Case Case, Tape Tape, RouterCall Call, Routed Routed, Choices Expected, Decisions Decided, ClaimedPlan Claims)
    : IDisposable
{
    /// <summary>Requests as claimed.</summary>
    public Choices Choices => Decided.Choices;

    /// <summary>Clean logits [T, E] as claimed.</summary>
    public Tensor Logits => Routed.Scored.Logits;

    /// <summary>Scores [T, E] as claimed.</summary>
    public Tensor Scores => Routed.Scored.Scores;

    /// <summary>Numbers with their bounds.</summary>
    public Numbers Read(Tensor tensor) => HostNumbers.Of(Tape, tensor);

    public void Dispose() => Tape.Dispose();
}
