using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>What a step goes down, and what it is reported by; both 1×1 and over the tokens of all shards.</summary>
/// <param name="Loss">All of it, auxiliary losses included.</param>
/// <param name="Entropy">Mean of the nats of a label.</param>
public sealed record Objective(Tensor Loss, Tensor Entropy);

/// <summary>What a model is trained for: predicting the next byte, filling in spans, agreeing with a teacher.</summary>
public interface IObjective
{
    /// <summary>Nats of every label of a batch [T, 1]: what an evaluation adds up.</summary>
    Tensor Losses(Tape tape, TokenBatch batch, ModelResult result);

    /// <summary>The loss of a training step.</summary>
    /// <param name="result">The model's forward pass over the batch; an objective may run further ones.</param>
    Objective Compute(Tape tape, IModel model, TokenBatch batch, ModelResult result, Pass pass);
}
