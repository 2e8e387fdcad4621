using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;

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
        ];
    }

    public Tape Tape { get; }
    public HubTensors Tensors { get; }
    public IReadOnlyList<CheckedBlock> Blocks { get; }

    /// <summary>
    /// Mean cross-entropy of the next token where its label is none of −100, plus the coefficient times Mixtral's balance loss over all layers, where
    /// there is one (transformers loss_utils.py, load_balancing_loss_func).
    /// </summary>
    public IReadOnlyList<(string Name, Tensor Value)> Losses(Recording inputs)
    {
        var batch = RecordedBatch.Of(inputs);
        var result = _model.Forward(batch, false, layer => RecordedChoices.Of(_model, inputs, layer));
        var loss = NextToken(result.Logits, batch, inputs.Sized(inputs.Get("labels"), batch.Ids.Length).Integers);
        if (Balance(result.Sparse, batch) is not { } balance) return [("loss", loss)];
        var coefficient = inputs.Find("aux_coefficient")?.Values[0] ?? _model.Form.Dialect.BalanceCoefficient;
        return [("aux_loss", balance), ("loss", Tape.Add(loss, Tape.Scale(balance, coefficient)))];
    }

    Tensor NextToken(Tensor logits, HubInputs batch, int[] labels)
    {
        var (length, shifted) = (batch.Length, new int[labels.Length]);
        for (var i = 0; i < shifted.Length; i++) shifted[i] = i % length == length - 1 ? -100 : labels[i + 1];
        var losses = Tape.CrossEntropy(logits, Tape.Upload(shifted));
        return Tape.SumColumns(losses, 1.0 / Math.Max(1, shifted.Count(l => l != -100)));
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
