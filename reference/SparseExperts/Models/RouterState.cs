using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>What the router of a layer carries from step to step, each a matrix of its own name; null where the dialect has no use for it.</summary>
sealed class RouterState
{
    readonly Tape _tape;
    readonly LayerShape _shape;
    readonly Matrix? _bias, _imageBias, _coefficient, _baseline;

    public RouterState(Tape tape, Weights weights, LayerShape shape)
    {
        (_tape, _shape) = (tape, shape);
        var d = shape.Dialect;
        if (d.CorrectionBias) _bias = weights.State("router_correction_bias", 1, shape.Experts);
        if (d.BiasOfImages) _imageBias = weights.State("router_image_correction_bias", 1, shape.Experts);
        if (d.AdaptiveSparsity) _coefficient = weights.State("router_balance_coefficient", 1, 1, d.BalanceCoefficient);
        if (d.TrainingExtra == TrainingExtra.Reinforce) _baseline = weights.State("router_baseline", 1, 1);
    }

    /// <summary>The running mean of the rewards; 0 where none is kept.</summary>
    public double Baseline => _baseline is { } mean ? Read(mean)[0] : 0;

    /// <summary>The dialect with the coefficient as it is now.</summary>
    public Dialect Settled(Dialect d) => _coefficient is { } now ? d with { BalanceCoefficient = Read(now)[0] } : d;

    /// <summary>The router with its bias as it is now.</summary>
    public RouterWeights Settled(RouterWeights router) =>
        _bias is { } bias ? router with { BiasOnBackend = bias, ImageBiasOnBackend = _imageBias } : router;

    /// <summary>Updates everything after a step, from what the router did. With micro-batches each is told of its own, and the last one updates.</summary>
    /// <param name="outcome">What became of the step; null while more micro-batches follow.</param>
    /// <param name="where">Name of the layer.</param>
    public void AfterStep(SparseResult result, StepOutcome? outcome, string where)
    {
        using var place = _tape.Within($"{where}.router");
        using var plan = _tape.During(Activity.Plan);
        if (_bias is { } bias) StepBias(bias, result, outcome, where);
        if (_coefficient is { } coefficient) StepCoefficient(coefficient, result, outcome);
        if (_baseline is { } baseline && outcome is { IsTaken: true }) Write(baseline, [(float)(0.9 * Read(baseline)[0] + 0.1 * outcome.Reward)]);
    }

    void StepBias(Matrix bias, SparseResult result, StepOutcome? outcome, string where)
    {
        var d = _shape.Dialect;
        if (d.Selection == Selection.Quantile && result.Inputs is { } inputs)
        {
            double[] logits = _tape.Gather(inputs.Numbers.Logits.Values);
            if (outcome is not { IsTaken: true }) return;
            var tokens = logits.Length / _shape.Experts;
            var call = new RouterCall { Dialect = d, Groups = 1, Size = tokens, Experts = _shape.Experts, Training = true, Where = where };
            Write(bias, [.. Quantile.Beta(call, logits, [.. Read(bias).Select(b => (double)b)]).Select(b => (float)b)]);
            return;
        }
        if (outcome is not null && result.Handle.OnBackend is { } made && !d.BiasCentred && !CapacityRule.FillsUp(d))
        {
            _tape.Backend.Routing!.MoveBias(made.Offsets, d.BiasRate, outcome.Factor, bias);
            return;
        }
        if (_imageBias is { } ofImages)
        {
            bool IsImage(int token) => token < result.Tasks.Length && result.Tasks[token] > 0;
            StepBias(ofImages, CorrectionBias.Counts(d, result.Plan, isMeant: IsImage), outcome);
            StepBias(bias, CorrectionBias.Counts(d, result.Plan, isMeant: t => !IsImage(t)), outcome);
            return;
        }
        StepBias(bias, CorrectionBias.Counts(d, result.Plan), outcome);
    }

    /// <summary>By the counts of all shards and micro-batches together.</summary>
    void StepBias(Matrix bias, double[] counts, StepOutcome? outcome)
    {
        counts = _tape.Total(counts);
        if (outcome is not { IsTaken: true }) return;
        var values = Read(bias);
        CorrectionBias.Step(_shape.Dialect, counts, values);
        Write(bias, values);
    }

    /// <summary>λ grows by 1.2 where fewer than 1 − k/E of the scores are 0, else it shrinks (ReMoE, eq. 8).</summary>
    void StepCoefficient(Matrix coefficient, SparseResult result, StepOutcome? outcome)
    {
        var experts = _shape.Experts;
        var sparsity = 1 - (double)_tape.Total(result.Plan.Kept) / (_tape.Total(result.Plan.Tokens) * experts);
        if (outcome is not { IsTaken: true }) return;
        var now = Read(coefficient)[0];
        Write(coefficient, [(float)(sparsity < 1 - (double)_shape.Dialect.K / experts ? now * 1.2 : now / 1.2)]);
    }

    /// <summary>Numbers for the host's part of the router.</summary>
    float[] Read(Matrix matrix)
    {
        using var plan = _tape.During(Activity.Plan);
        return _tape.Backend.ToArray(matrix);
    }

    void Write(Matrix matrix, ReadOnlySpan<float> values) => _tape.Backend.Write(matrix, values);
}
