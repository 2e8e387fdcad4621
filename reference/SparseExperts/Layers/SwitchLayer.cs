using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers;

/// <summary>Everything that a Switch layer needs to know besides its weights. Coefficients multiply their losses; 0 leaves a loss out.</summary>
public sealed record SwitchSettings
{
    public required int Experts { get; init; }
    public Activation Activation { get; init; } = Activation.Relu;
    public CapacityRule TrainCapacity { get; init; } = CapacityRule.SwitchTrain;
    public CapacityRule EvalCapacity { get; init; } = CapacityRule.SwitchEval;
    public GroupRule Group { get; init; } = new(1024);
    public RouterPolicySettings Policy { get; init; } = new(RouterPolicy.Argmax);
    public double BalanceCoefficient { get; init; } = 0.01;

    /// <summary>z_loss of Mesh-TensorFlow: multiplied by <see cref="BalanceCoefficient"/> as well, and added only while training.</summary>
    public double ZLoss { get; init; }
    public double ExpertDropout { get; init; }

    /// <summary>Auxiliary losses are divided by the number of micro-batches that a step adds up.</summary>
    public int Microbatches { get; init; } = 1;
}

/// <summary>What one call of a sparse layer did.</summary>
/// <param name="Output">[T, D]; a dropped token's row is exactly 0, so that the residual carries it.</param>
/// <param name="Loss">Auxiliary losses with their coefficients, 1×1.</param>
public sealed record SwitchResult(Tensor Output, Tensor Loss, Tensor Logits, Tensor Probabilities, RoutingPlan Plan);

/// <summary>
/// The sparse feed-forward layer of Switch Transformers (Fedus, Zoph, Shazeer 2022, section 2; Mesh-TensorFlow moe.py, _switch_gating):
/// p = softmax(x·W_r), e = argmax p, y = p_e·FFN_e(x) if the token finds a place in its expert, else 0.
/// </summary>
/// <param name="router">[D, E].</param>
/// <param name="wi">[E·D, F], one expert below the other.</param>
/// <param name="wo">[E·F, D].</param>
/// <param name="name">Names the layer in messages.</param>
public sealed class SwitchLayer(SwitchSettings settings, Tensor router, Tensor wi, Tensor wo, string name)
{
    float[] _scores = [];

    /// <param name="x">Tokens [T, D].</param>
    /// <param name="training">Chooses capacity factor, dropout, jitter and z-loss.</param>
    /// <param name="stream">Stream of this call's random numbers; words are addressed, never consumed.</param>
    /// <param name="importance">One number a token, 0 for padding; empty means that there is none.</param>
    /// <param name="given">Draws of another implementation instead of the stream's.</param>
    public SwitchResult Forward(Tape tape, Tensor x, bool training, RandomStream stream, ReadOnlySpan<float> importance = default, RouterDraws? given = null)
    {
        var draws = given ?? RouterDraws.From(settings.Policy, training, stream, x.Rows, x.Columns, settings.Experts);
        int tokens = x.Rows, experts = settings.Experts, groups = settings.Group.Groups(tokens);

        // Scores: jitter and dropout touch only what the router sees, never what the experts get.
        var logits = tape.Linear(RouterInput(tape, x, training, draws), router);                        // [T, E]
        var probabilities = tape.Softmax(logits);                                                       // [T, E]

        // Selection, priority, capacity: integers, decided once.
        var capacity = (training ? settings.TrainCapacity : settings.EvalCapacity).Capacity(tokens / groups, experts);
        var scores = Scores(tape, probabilities, logits, draws);
        var plan = TopOne.Plan(scores, experts, groups, capacity, importance, name);

        // Dispatch, experts, combine.
        Indices tokenOfRow = tape.Upload(plan.TokenOfRow), rowOfToken = tape.Upload(plan.RowOf);
        var inputs = tape.Permute(x, tokenOfRow, rowOfToken);                                           // [rows, D], expert order
        var hidden = tape.Activate(settings.Activation, tape.GroupedLinear(inputs, wi, plan.Offsets));   // [rows, F]
        if (training) hidden = tape.Dropout(hidden, settings.ExpertDropout, stream with { Stream = stream.Stream + 1 });
        var outputs = tape.GroupedLinear(hidden, wo, plan.Offsets);                                     // [rows, D]
        var gate = tape.GatherColumns(probabilities, tape.Upload(plan.Expert));                         // [T, 1], never renormalised
        var y = tape.ScaleRows(tape.Permute(outputs, rowOfToken, tokenOfRow), gate);                    // [T, D]

        return new(y, Losses(tape, logits, probabilities, scores, groups, training, importance), logits, probabilities, plan);
    }

    Tensor RouterInput(Tape tape, Tensor x, bool training, RouterDraws draws)
    {
        if (!training) return x;
        var factors = settings.Policy.Policy switch
        {
            RouterPolicy.InputJitter => draws.Jitter,
            RouterPolicy.InputDropout => draws.InputDropout?.Select(u => u < 1 - settings.Policy.Dropout ? (float)(1 / (1 - settings.Policy.Dropout)) : 0).ToArray(),
            _ => null,
        };
        return factors is null ? x : tape.Multiply(x, tape.Constant(x.Rows, x.Columns, factors));
    }

    /// <summary>What the choice is made from: the probabilities, or for a sample l + τ·g with Gumbel noise g = −ln(−ln u).</summary>
    ReadOnlySpan<float> Scores(Tape tape, Tensor probabilities, Tensor logits, RouterDraws draws)
    {
        if (_scores.Length < logits.Value.Count) _scores = new float[logits.Value.Count];
        var scores = _scores.AsSpan(0, (int)logits.Value.Count);
        var uniforms = settings.Policy is { Policy: RouterPolicy.Sample, Temperature: > 0 } ? draws.Sample : null;
        tape.Backend.Read((uniforms is null ? probabilities : logits).Value, scores);
        for (var i = 0; i < uniforms?.Length; i++)
            scores[i] += (float)(settings.Policy.Temperature * -Math.Log(-Math.Log(Math.Max(1e-9, uniforms[i]))));
        return scores;
    }

    Tensor Losses(Tape tape, Tensor logits, Tensor probabilities, ReadOnlySpan<float> scores, int groups, bool training, ReadOnlySpan<float> importance)
    {
        var first = new int[logits.Rows];
        for (var t = 0; t < first.Length; t++) first[t] = TopOne.Best(scores.Slice(t * settings.Experts, settings.Experts), t, name);
        var coefficient = settings.BalanceCoefficient / settings.Microbatches;
        var loss = tape.Scale(BalanceLoss.Switch(tape, probabilities, first, groups, importance), coefficient);
        return training && settings.ZLoss != 0
            ? tape.Add(loss, tape.Scale(RouterZLoss.Mean(tape, logits, importance), settings.ZLoss * coefficient))
            : loss;
    }
}
