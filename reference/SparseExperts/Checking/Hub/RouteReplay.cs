using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Layers;
using SparseExperts.Models.Hub;

namespace SparseExperts.Checking.Hub;

/// <summary>Two recordings of a decoder, and the checkpoint computed under the routes of each.</summary>
public sealed class RouteReplay
{
    /// <summary>A label that says nothing.</summary>
    const int None = -100;

    readonly DecoderModel _model;
    readonly Recording _first, _second;
    readonly HubInputs _batch;
    readonly int[] _labels;

    RouteReplay(DecoderModel model, Recording first, Recording second)
    {
        (_model, _first, _second, _batch) = (model, first, second, RecordedBatch.Of(first));
        RequireSame("input_ids", isNeeded: true);
        foreach (var name in (string[])["attention_mask", "position_ids", "labels"]) RequireSame(name, isNeeded: false);
        _labels = Labels();
        if (_labels.All(l => l == None)) throw new InvalidFileException($"{first.Path}: no token in it has a next one; record longer rows");
    }

    /// <param name="backend">One that computes in double.</param>
    /// <exception cref="InvalidFileException">The recordings are not of the same tokens, lack logits or choices, or the checkpoint is no decoder.</exception>
    public static LogProbabilityShift Run(HubFolder folder, Recording first, Recording second, IBackend backend)
    {
        if (folder.Config is not HubDecoder)
            throw new InvalidFileException($"{folder.Path}: {folder.Config.ModelType} is no decoder; replay of whole models is of decoders alone");
        return new RouteReplay(new(backend, folder, (HubDecoder)folder.Config, NumberFormat.Float32), first, second).Run();
    }

    LogProbabilityShift Run()
    {
        int[] sparse = [.. _model.SparseLayers];
        if (sparse.Length == 0) throw new InvalidFileException($"{_first.Path}: the checkpoint has no layer with experts, so that there are no routes");
        Dictionary<int, int[]> own = Routes(_first, sparse), others = Routes(_second, sparse);
        bool[][] apart = [.. sparse.Select(layer => Apart(own[layer], others[layer]))];
        var tokens = Enumerable.Range(0, _labels.Length).Where(t => _labels[t] != None).ToArray();
        double[] a = LogProbabilities(Recorded(_first)), b = LogProbabilities(Recorded(_second));
        var under = Under(own, sparse, others, []);
        var all = Enumerable.Range(0, sparse.Length).Where(i => apart[i].Any(x => x)).Select(i => sparse[i]).ToArray();
        var underOthers = Under(own, sparse, others, all);
        ShiftOfTokens Of(bool isApart)
        {
            int[] which = [.. tokens.Where(t => apart.Any(layer => layer[t]) == isApart)];
            return new(
                which.Length,
                which.Sum(t => Math.Abs(a[t] - b[t])),
                which.Sum(t => Math.Abs(under[t] - underOthers[t])),
                which.Sum(t => Math.Abs(a[t] - b[t] - (under[t] - underOthers[t]))));
        }
        ShiftOfLayer OfLayer(int layer, bool[] isApart)
        {
            var count = isApart.Count(x => x);
            var alone = count == 0 ? under : Under(own, sparse, others, [layer]);
            return new($"layers.{layer}", count, tokens.Sum(t => Math.Abs(under[t] - alone[t])));
        }
        return new(
            Of(true),
            Of(false),
            tokens.Average(t => a[t] - b[t]),
            tokens.Max(t => Math.Abs(a[t] - b[t])),
            [.. sparse.Zip(apart, OfLayer)]);
    }

    /// <summary>Log-probabilities of the checkpoint under the first engine's routes, but the other's in some layers.</summary>
    double[] Under(Dictionary<int, int[]> own, int[] sparse, Dictionary<int, int[]> others, int[] swapped)
    {
        var routes = sparse.ToDictionary(layer => layer, layer => (Substitution)new RecordedChoices(swapped.Contains(layer) ? others[layer] : own[layer]));
        return LogProbabilities(_model.Logits(_batch, routes.GetValueOrDefault));
    }

    /// <summary>Of every token whether it goes to other experts; padding goes nowhere.</summary>
    bool[] Apart(int[] own, int[] others)
    {
        var k = own.Length / _batch.Ids.Length;
        return [.. Enumerable.Range(0, _batch.Ids.Length).Select(t =>
            IsReal(t) && !own.AsSpan(t * k, k).ToArray().Order().SequenceEqual(others.AsSpan(t * k, k).ToArray().Order()))];
    }

    Dictionary<int, int[]> Routes(Recording recording, int[] sparse) => sparse.ToDictionary(layer => layer, layer =>
        _model.ChoicesOf(recording, layer) ?? throw new InvalidFileException(
            $"{recording.Path}: it does not say which experts layer {layer} chose; record it with python/moe_record_model.py"));

    double[] Recorded(Recording recording) => recording.Sized(recording.Get("logits"), (long)_batch.Ids.Length * _model.Vocabulary).Values;

    /// <summary>Of every token the log-probability of its label; 0 where it has none.</summary>
    double[] LogProbabilities(double[] logits)
    {
        var result = new double[_labels.Length];
        Parallelism.For(result.Length, t =>
        {
            if (_labels[t] == None) return;
            var row = logits.AsSpan(t * _model.Vocabulary, _model.Vocabulary);
            var largest = double.NegativeInfinity;
            foreach (var logit in row) largest = Math.Max(largest, logit);
            double sum = 0;
            foreach (var logit in row) sum += ReproducibleMath.Exp(logit - largest);
            result[t] = row[_labels[t]] - largest - ReproducibleMath.Log(sum);
        });
        return result;
    }

    /// <summary>The next token of each; none where either is padding, or where recorded labels say nothing.</summary>
    int[] Labels()
    {
        var given = _first.Integers("labels");
        var labels = new int[_batch.Ids.Length];
        for (var t = 0; t < labels.Length; t++)
        {
            var hasNext = t % _batch.Length < _batch.Length - 1 && IsReal(t) && IsReal(t + 1);
            var next = hasNext ? (given.Length > 0 ? given : _batch.Ids)[t + 1] : None;
            if (next != None && (next < 0 || next >= _model.Vocabulary))
                throw new InvalidFileException($"{_first.Path}: token {next} is outside 0 … {_model.Vocabulary - 1}; record it of this model");
            labels[t] = next;
        }
        return labels;
    }

    bool IsReal(int token) => _batch.Mask.Length == 0 || _batch.Mask[token] != 0;

    void RequireSame(string name, bool isNeeded)
    {
        if (!isNeeded && !_first.Has(name) && !_second.Has(name)) return;
        var (own, other) = (_first.Get(name), _second.Get(name));
        if (own.Shape.AsSpan().SequenceEqual(other.Shape) && own.Values.AsSpan().SequenceEqual(other.Values)) return;
        throw new InvalidFileException($"{_second.Path}: {name} is another one than in {_first.Path}; record both engines on the same tokens");
    }
}
