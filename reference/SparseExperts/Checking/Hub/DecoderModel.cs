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

    /// <param name="config">The folder's own, or as another version of the library reads it.</param>
    /// <param name="format">What every op's result is rounded to.</param>
    public DecoderModel(IBackend backend, HubFolder folder, HubDecoder config, NumberFormat format)
    {
        Tape = new(backend);
        Tensors = folder.Tensors;
        _model = new(Tape, config, format, new HubWeights(folder));
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
        return LayerLosses.Pooled(Tape, d, _model.Form.Experts, true, batch.TokenMask, sparse).Terms.FirstOrDefault(t => t.Name == "balance")?.Value;
    }

    public IEnumerable<BlockVerdict> Generation(Recording recording, CheckedPair pair) => DecoderGeneration.Check(recording, pair);

    internal int Vocabulary => _model.Form.Vocabulary;

    /// <summary>Layers with experts.</summary>
    internal IEnumerable<int> SparseLayers => Enumerable.Range(0, _model.Layers.Count).Where(i => _model.Layers[i].Weights.Experts is not null);

    /// <summary>The recorded choice of a layer [T·k]; null where the recording shows none.</summary>
    /// <exception cref="Formats.InvalidFileException">It names experts that are not there.</exception>
    internal int[]? ChoicesOf(Recording recording, int layer)
    {
        if (RecordedChoices.Of(_model, recording, layer)?.Experts is not { } chosen) return null;
        var experts = _model.Layers[layer].Weights.Experts!.Form.Experts;
        if (chosen.FirstOrDefault(e => e < 0 || e >= experts, -1) is not -1 and var bad)
            throw new Formats.InvalidFileException($"{recording.Path}: layer {layer} chose expert {bad}, there are 0 … {experts - 1}; record it of this model");
        return chosen;
    }

    /// <summary>Logits of a batch [T·V], without a gradient.</summary>
    /// <param name="instead">What takes the place of stages of a layer's router.</param>
    internal double[] Logits(HubInputs inputs, Func<int, Substitution?>? instead = null)
    {
        Tape.Recording = false;
        try
        {
            return Tape.Backend.ToDoubles(_model.Forward(inputs, false, instead).Logits.Value);
        }
        finally
        {
            Tape.Reset();
            Tape.Recording = true;
        }
    }
}
