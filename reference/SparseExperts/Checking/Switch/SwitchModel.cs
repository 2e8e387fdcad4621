using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Switch;

/// <summary>A Switch Transformer's checkpoint as the check sees it.</summary>
public sealed class SwitchModel : ICheckedModel
{
    /// <param name="format">What every op's result is rounded to.</param>
    public SwitchModel(IBackend backend, HubFolder folder, NumberFormat format)
    {
        Tape = new(backend);
        Tensors = folder.Tensors;
        Model = new(Tape, T5Hub.Config((HubSwitch)folder.Config), new HubWeights(folder), format: format);
        _ = Tape.Parameters.Values;         // read while the folder is open
        Blocks = [.. SwitchBlocks.Of(Model)];
    }

    internal T5Model Model { get; }
    public Tape Tape { get; }
    public HubTensors Tensors { get; }
    public bool LeavesIdleExperts => true;
    public IReadOnlyList<CheckedBlock> Blocks { get; }

    /// <summary>
    /// Mean cross-entropy of the labels that are none of −100, plus the z and balance losses of both stacks times their coefficients (transformers 4.57
    /// modeling_switch_transformers.py): a stack's sparse layers are pooled, and of padding too.
    /// </summary>
    public IReadOnlyList<(string Name, Tensor Value)> Losses(Recording inputs)
    {
        var batch = SwitchBatch.Of(inputs);
        var memory = Model.Encode(batch, default);
        var (output, sparse) = Model.Decode(batch, default, memory);
        var entropy = Tape.SumColumns(Tape.CrossEntropy(Model.Head(output), Tape.Upload(batch.Labels)), 1.0 / Math.Max(1, batch.Compared));
        return SwitchLosses.Of(Tape, Model, entropy, memory.Sparse, sparse);
    }

    public IEnumerable<BlockVerdict> Generation(Recording recording, CheckedPair pair) => SwitchGeneration.Check(recording, pair);
}
