using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>A decoder checkpoint as the check sees it.</summary>
public sealed class DecoderModel : ICheckedModel
{
    readonly HubModel _model;

    /// <param name="format">What every op's result is rounded to.</param>
    public DecoderModel(IBackend backend, HubFolder folder, NumberFormat format)
    {
        Tape = new(backend);
        Tensors = folder.Tensors;
        _model = new(Tape, (HubDecoder)folder.Config, format, new HubWeights(folder));
        _ = Tape.Parameters.Values;         // read while the folder is open
        Blocks =
        [
            new EmbeddingBlock(_model),
            .. Enumerable.Range(0, _model.Layers.Count).SelectMany(i => (CheckedBlock[])[new AttentionBlock(_model, i), new FeedForwardBlock(_model, i)]),
            new NormBlock(_model),
            new HeadBlock(_model),
            new LossBlock(_model),
        ];
    }

    public Tape Tape { get; }
    public HubTensors Tensors { get; }
    public IReadOnlyList<CheckedBlock> Blocks { get; }

    /// <summary>
    /// Mean cross-entropy of the next token where its label is none of −100, plus the coefficient times Mixtral's balance loss over all layers, where
    /// there is one (transformers loss_utils.py, load_balancing_loss_func). A recorded loss without one beside it has none: the library leaves it out unless
    /// it is told to return router logits.
    /// </summary>
    public IReadOnlyList<(string Name, Tensor Value)> Losses(Recording inputs)
    {
        var batch = RecordedBatch.Of(inputs);
        var result = _model.Forward(batch, false, layer => RecordedChoices.Of(_model, inputs, layer));
        var loss = LossBlock.NextToken(Tape, result.Logits, batch, inputs);
        var hasNone = inputs.Has("loss") && !inputs.Has("aux_loss");
        if (hasNone || Balance(result.Sparse, batch) is not { } balance) return [("loss", loss)];
        return [("aux_loss", balance), ("loss", LossBlock.With(Tape, _model, inputs, loss, balance))];
    }

    Tensor? Balance(IReadOnlyList<SparseResult> sparse, HubInputs batch)
    {
        if (sparse.Count == 0 || sparse.Any(s => s.Inputs is null)) return null;
        var d = _model.Form.Dialect;
        return LayerLosses.Pooled(Tape, d, _model.Form.Experts, true, batch.Importance, sparse).Terms.FirstOrDefault(t => t.Name == "balance")?.Value;
    }

    public IEnumerable<BlockVerdict> Generation(Recording recording, CheckedPair pair) => DecoderGeneration.Check(recording, pair);

    /// <summary>Logits of a batch [T·V], without a gradient.</summary>
    internal double[] Logits(HubInputs inputs)
    {
        Tape.Recording = false;
        try
        {
            return Tape.Backend.ToDoubles(_model.Forward(inputs, false).Logits.Value);
        }
        finally
        {
            Tape.Reset();
            Tape.Recording = true;
        }
    }
}
