using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>From clean logits to the numbers that selection and gates start from.</summary>
public static class RouterScores
{
    /// <summary>A number that every logit loses to, without being an infinity that would make 0·∞.</summary>
    internal const float Out = -1e30f;

    /// <summary>Logits with the call's noise [T, E]; the clean ones where there is none. <paramref name="deviation"/> is σ of input-dependent noise.</summary>
    public static Tensor Noisy(Tape tape, RouterCall call, Tensor logits, Tensor input, RouterWeights weights, out Tensor? deviation)
    {
        var d = call.Dialect;
        deviation = null;
        if (!call.IsNoisy) return logits;
        switch (d.Noise)
        {
            case LogitNoise.NormalPerExperts:
                return tape.Shift(logits, [.. Noise().Select(n => n * (float)(d.NoiseStd / call.Experts))]);
            case LogitNoise.NormalSoftplus:
                deviation = Deviation(tape, call, input, RouterLogits.Needed(call, weights.NoiseWeight, "router.noise_weight"));
                return tape.Add(logits, tape.Multiply(deviation, tape.PlanConstant(logits.Rows, logits.Columns, Noise())));
            case LogitNoise.UniformShift:
                return tape.Shift(logits, [.. Noise().Select(u => u * 0.2f + 0.9f)]);
            case LogitNoise.Gumbel:
                if (call.Draws.Gumbel is null && call.Draws.UniformGumbel is null)
                    throw new RoutingException(
                        $"{call.Where}: {d.Name} needs draws.gumbel or draws.uniform_gumbel here; give them or set noise_multiplier to 0");
                var shift = new float[logits.Value.Count];
                for (var i = 0; i < shift.Length; i++) shift[i] = (float)(d.NoiseMultiplier * call.Draws.GumbelOf(i));
                var disturbed = tape.Shift(logits, shift);
                return d.Temperature == 1 ? disturbed : tape.Scale(disturbed, 1 / d.Temperature);
            default: throw new RoutingException($"{call.Where}: unknown noise {d.Noise}");
        }

        float[] Noise() => RouterLogits.Drawn(call, call.Draws.Noise, "noise", logits.Value.Count);
    }

    /// <summary>softplus(x·W_noise) + ε [T, E] (Shazeer et al. 2017, eq. 4).</summary>
    internal static Tensor Deviation(Tape tape, RouterCall call, Tensor input, Tensor noiseWeight) =>
        tape.Shift(tape.Activate(Activation.Softplus, tape.Linear(input, noiseWeight)), call.Dialect.NoiseEpsilon);

    /// <summary>Scores [T, E]; the logits themselves where only the chosen ones are scored.</summary>
    public static Tensor Compute(Tape tape, RouterCall call, Tensor logits) => tape.Round(call.Dialect.Score switch
    {
        Score.Softmax when call.Dialect.ScoreDtype is { } format => tape.WidenByComposedSoftmax(tape.Softmax(logits), logits, format),
        Score.Softmax => tape.Softmax(logits),
        Score.SoftmaxPost or Score.None => logits,
        Score.Sigmoid => tape.Activate(Activation.Sigmoid, logits),
        Score.SqrtSoftplus => tape.Activate(Activation.Sqrt, tape.Round(tape.Activate(Activation.Softplus, logits), call.ScoreFormat)),
        Score.Relu => tape.Activate(Activation.Relu, logits),
        Score.SoftmaxOverTokens => SoftmaxOverTokens(tape, call, logits),
        Score.SoftmaxPerPrototype => tape.Reshape(tape.Softmax(tape.Reshape(logits, call.Tokens * call.K, call.Experts / call.K)), call.Tokens, call.Experts),
        var other => throw new RoutingException($"{call.Where}: unknown score {other}"),
    }, call.Dialect.ScoreDtype ?? call.ScoreFormat);

    /// <summary>y_tc = exp l_tc / Σ exp l_uc over the tokens u of t's group, for logits [T, C] of experts or slots.</summary>
    public static Tensor SoftmaxOverTokens(Tape tape, RouterCall call, Tensor logits)
    {
        // Rows and columns change places, group by group, and back.
        int size = call.Size, columns = logits.Columns;
        int[] turned = new int[call.Tokens * columns], back = new int[turned.Length];
        for (var t = 0; t < call.Tokens; t++)
            for (var c = 0; c < columns; c++)
            {
                int there = (t / size * columns + c) * size + t % size, here = t * columns + c;
                (turned[there], back[here]) = (here, there);
            }
        var shares = tape.Softmax(tape.GatherElements(logits, turned, call.Groups * columns, size));
        return tape.GatherElements(shares, back, call.Tokens, columns, logits.Sequence);
    }
}
