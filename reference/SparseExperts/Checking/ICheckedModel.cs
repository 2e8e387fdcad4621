using SparseExperts.Autograd;
using SparseExperts.Hub;

namespace SparseExperts.Checking;

/// <summary>
/// A model of any family as the check sees it: a checkpoint's weights on a tape, whose backend carries bounds, or is exact, or disturbs its numbers.
/// </summary>
public interface ICheckedModel
{
    Tape Tape { get; }

    /// <summary>The checkpoint's tensors, and which of the model's matrices they are.</summary>
    HubTensors Tensors { get; }

    /// <summary>
    /// Whether an optimizer leaves experts alone that had no token in a step: where each is a parameter of its own, which has no gradient then.
    /// </summary>
    bool LeavesIdleExperts => false;

    /// <summary>Blocks in forward order.</summary>
    IReadOnlyList<CheckedBlock> Blocks { get; }

    /// <summary>
    /// A forward pass over the inputs of a recording with what is minimised: 1×1 tensors by their names in recordings, <c>loss</c> among them.
    /// </summary>
    /// <param name="inputs">Ids, masks, labels, and the recorded choices of experts where there are any.</param>
    IReadOnlyList<(string Name, Tensor Value)> Losses(Recording inputs);

    /// <summary>Decoded tokens and what was recorded beside them.</summary>
    /// <param name="pair">This model in double and disturbed.</param>
    IEnumerable<BlockVerdict> Generation(Recording recording, CheckedPair pair);
}
