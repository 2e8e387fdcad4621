using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Switch;

/// <summary>A Switch Transformer's checkpoint as the check sees it.</summary>
public sealed class SwitchModel : ICheckedModel
{
    readonly bool _isFour;

    /// <param name="config">The folder's own, or as another version of the library reads it.</param>
    /// <param name="format">What every op's result is rounded to.</param>
    public SwitchModel(IBackend backend, HubFolder folder, HubSwitch config, NumberFormat format)
    {
        Tape = new(backend);
        Tensors = folder.Tensors;
        _isFour = config.Version == 4;
        Model = new(Tape, T5Hub.Config(config), new HubWeights(folder), format: format);
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
    /// modeling_switch_transformers.py): a stack's sparse layers are pooled, and of padding too. From 5.0 on they are added where router logits are asked for,
    /// which nobody does who recorded none of them, and who was dropped counts for the expert that it wanted.
    /// </summary>
    public IReadOnlyList<(string Name, Tensor Value)> Losses(Recording inputs)
    {
        var batch = SwitchBatch.Of(inputs);
        var memory = Model.Encode(batch, default);
        var (output, sparse) = Model.Decode(batch, default, memory);
        var entropy = Tape.SumColumns(Tape.CrossEntropy(Model.Head(output), Tape.Upload(batch.Labels)), 1.0 / Math.Max(1, batch.Compared));
        if (!_isFour && !Array.Exists(SwitchLosses.Names, inputs.Has)) return [("loss", entropy)];
        return SwitchLosses.Of(Tape, Model, entropy, memory.Sparse, sparse, _isFour);
    }

    public IEnumerable<BlockVerdict> Generation(Recording recording, CheckedPair pair) => SwitchGeneration.Check(recording, pair);
}
