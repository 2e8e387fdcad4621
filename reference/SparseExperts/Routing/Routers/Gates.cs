using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// The numbers that multiply the experts' outputs [T, K], in the steps in which libraries make them: gathered, divided before anything is
/// dropped, set to 0 where nothing is kept, divided again, scaled.
/// </summary>
public static class Gates
{
    /// <summary>Gates of all candidates before anybody is dropped.</summary>
    /// <param name="shared">Scores of shared experts that take part in the normalisation [T, N], or null.</param>
    public static Tensor BeforeDrop(Tape tape, RouterCall call, Tensor logits, Tensor scores, Choices choices, double[] correctionBias,
        Tensor? shared = null) =>
        Divided(tape, call, Raw(tape, call, logits, scores, choices, correctionBias), choices.K, shared);

    /// <summary>Whether gates of K choices are divided before anybody is dropped.</summary>
    internal static bool AreDivided(RouterCall call, int k)
    {
        var d = call.Dialect;
        if (d.Normalize is Normalize.None or Normalize.AfterDrop || k == 1 && !d.NormalizeSingle) return false;
        return !(d.Normalize == Normalize.SumUnlessSoftmax && d.Score is Score.Softmax or Score.SoftmaxPost);
    }

    /// <summary>Raw gates [T, K] over their divisor, where there is one before anybody is dropped.</summary>
    internal static Tensor Divided(Tape tape, RouterCall call, Tensor raw, int k, Tensor? shared)
    {
        var d = call.Dialect;
        if (!AreDivided(call, k)) return raw;
        var divided = Divide(tape, call, raw, Divisor(tape, call, raw, shared));
        if (d.Normalize != Normalize.BeforeDrop || d.RandomTest != RandomTest.TwiceRaw || d.Policy != Policy.Random) return divided;
        // The policy writes the raw probability over the divided one, for later choices only.
        return Blend(tape, divided, raw, k);
    }

    /// <summary>Gates that are really applied: 0 for choices that are not used or have no slot.</summary>
    public static Tensor AfterDrop(Tape tape, RouterCall call, Tensor gates, RoutingPlan plan, RouterWeights router)
    {
        var d = call.Dialect;
        var kept = new float[plan.RowOf.Length];
        // Where a dropped token comes back as gate times input, its gate is applied too.
        for (var i = 0; i < kept.Length; i++) kept[i] = plan.RowOf[i] >= 0 || d.DroppedOutput == DroppedOutput.GateTimesInput && plan.Expert[i] >= 0 ? 1 : 0;
        if (d.Padding == PaddingRule.ScoresZeroed)
            for (var i = 0; i < kept.Length; i++)
                if (!call.IsReal(i / plan.Choices)) kept[i] = 0;
        if (kept.Contains(0)) gates = tape.Multiply(gates, tape.PlanConstant(gates.Rows, gates.Columns, kept));
        return Finished(tape, call, gates, router, plan);
    }

    /// <summary>Gates of kept choices, others 0: divided late, shared and scaled.</summary>
    /// <param name="plan">For gates that look at it; null where the backend planned, which it does for none of them.</param>
    internal static Tensor Finished(Tape tape, RouterCall call, Tensor gates, RouterWeights router, RoutingPlan? plan)
    {
        var d = call.Dialect;
        if (d.Normalize == Normalize.AfterDrop) gates = Divide(tape, call, gates, Divisor(tape, call, gates));
        if (d.Gate == Gate.ScorePerExpertCount) gates = tape.Multiply(gates, tape.PlanConstant(gates.Rows, gates.Columns, PerExpertCount(plan!)));
        gates = Scaled(tape, call, gates, router);
        if (d.ExpertScale) gates = tape.In(call.ScoreFormat).Multiply(gates, ScaleOfExperts(tape, call, plan!, router));
        return d.GateDtype is { } format ? tape.Round(gates, format) : gates;
    }

    /// <summary>
    /// Gates of shared experts [T, N], or null where they have none: of those that take part in the normalisation σ over the sum of the chosen ones' and
    /// theirs, scaled; of those that are choices more the share of the chosen ones' sum.
    /// </summary>
    public static Tensor? OfShared(Tape tape, RouterCall call, Tensor logits, Tensor scores, Choices choices, Tensor? shared, RouterWeights router)
    {
        if (shared is null && call.Dialect.SharedChoices == 0) return null;
        var chosen = Raw(tape, call, logits, scores, choices, router.CorrectionBias);
        if (shared is null) return tape.RepeatColumn(OfSharedChoice(tape, call, chosen, router), call.Dialect.SharedChoices);
        return Scaled(tape, call, Divide(tape, call, shared, Divisor(tape, call, chosen, shared)), router);
    }

    /// <summary>Gate of every shared expert that is a choice more [T, 1]: the sum of the others over the factor, then divided and scaled as they are.</summary>
    static Tensor OfSharedChoice(Tape tape, RouterCall call, Tensor chosen, RouterWeights router)
    {
        var rounded = tape.In(call.ScoreFormat);
        var share = rounded.Round(tape.SumRows(chosen));
        if (call.Dialect.ScalingFactor != 1) share = rounded.Scale(share, 1 / call.Dialect.ScalingFactor);
        if (AreDivided(call, chosen.Columns)) share = Divide(tape, call, share, Divisor(tape, call, chosen));
        return Scaled(tape, call, share, router);
    }

    /// <summary>Times the fixed factor and the learned one.</summary>
    static Tensor Scaled(Tape tape, RouterCall call, Tensor gates, RouterWeights router)
    {
        var rounded = tape.In(call.ScoreFormat);
        if (call.Dialect.ScalingFactor != 1) gates = rounded.Scale(gates, call.Dialect.ScalingFactor);
        if (!call.Dialect.GlobalScale) return gates;
        var factor = RouterLogits.Needed(call, router.GlobalScale, "router.global_scale");
        return rounded.Multiply(gates, tape.RepeatRow(tape.RepeatColumn(factor, gates.Columns), gates));
    }

    /// <summary>The learned number of each choice's expert [T, K].</summary>
    static Tensor ScaleOfExperts(Tape tape, RouterCall call, RoutingPlan plan, RouterWeights router)
    {
        // A table with a row an expert, looked up choice by choice: its gradient is a sum over tokens, and joined as such.
        var table = tape.Reshape(RouterLogits.Needed(call, router.ExpertScale, "router.expert_scale"), call.Experts, 1);
        var sequence = call.Tokens / call.Sequences;
        var scales = tape.LookUp(table, tape.UploadPlan(plan.Expert), sequence * plan.Choices);                         // [T·K, 1]
        return tape.Reshape(scales, plan.Tokens, plan.Choices, sequence);
    }

    static Tensor Raw(Tape tape, RouterCall call, Tensor logits, Tensor scores, Choices choices, double[] correctionBias)
    {
        var d = call.Dialect;
        if (d.Gate == Gate.Table && Given.GatesFromTable(call) is { } given) return tape.PlanConstant(call.Tokens, choices.K, given);
        if (d.Gate is Gate.One or Gate.Table) return Ones(tape, call.Tokens, choices.K);
        if (d.Gate == Gate.NearWinner) return NearWinner.Compute(tape, call, logits, choices);
        if (d.Gate == Gate.RankedScore) return RankedScore(tape, call, scores, choices);
        if (d.Score == Score.SoftmaxPost && d.Gate == Gate.Score) return SoftmaxOfChosen(tape, call, logits, choices);
        var source = d.Gate switch
        {
            Gate.SigmoidOrSoftmax when choices.K == 1 => tape.Activate(Activation.Sigmoid, logits),
            Gate.SigmoidOrSoftmax => tape.Softmax(logits),
            Gate.SigmoidMix => tape.Activate(Activation.Sigmoid, logits),
            Gate.BiasedScore when correctionBias.Length > 0 => tape.Add(scores, Rows(tape, call, correctionBias, 1)),
            Gate.ScoreThroughBias when correctionBias.Length > 0 =>
                tape.Add(tape.Add(scores, Rows(tape, call, correctionBias, 1)), Rows(tape, call, correctionBias, -1)),
            Gate.Score or Gate.ScorePerExpertCount or Gate.BiasedScore or Gate.ScoreThroughBias => scores,
            var other => throw new RoutingException($"{call.Where}: unknown gate {other}"),
        };
        return Gather(tape, call, source, choices.Candidate, choices.K, Skips(call, choices));
    }

    /// <summary>
    /// The largest number of the ranking, as a score plus what the ranking took off it. Where several are equal the gradient is shared
    /// among them, as TensorFlow's reduce_max does.
    /// </summary>
    static Tensor RankedScore(Tape tape, RouterCall call, Tensor scores, Choices choices)
    {
        int experts = call.Experts, k = choices.K;
        var gates = new Tensor[k];
        for (var j = 0; j < k; j++)
        {
            var ranking = choices.RankingOf(j);
            var first = choices.RankingOf(0);
            float[] share = new float[call.Tokens * experts], offset = new float[call.Tokens];
            for (var t = 0; t < call.Tokens; t++)
            {
                var best = Math.Max(0, choices.Candidate[t * k + j]);      // where nothing was chosen the gate is not used
                var row = ranking.Row(t);
                var equals = 0;
                foreach (var value in row) equals += value == row[best] ? 1 : 0;
                for (var e = 0; e < experts; e++) share[t * experts + e] = row[e] == row[best] ? 1f / equals : 0;
                double shared = 0;
                for (var e = 0; e < experts; e++) shared += share[t * experts + e] * first.Row(t)[e];
                offset[t] = (float)(equals == 1 ? Math.Round(row[best] - shared) : row[best] - shared);
            }
            gates[j] = tape.Shift(tape.SumRows(tape.Multiply(scores, tape.PlanConstant(call.Tokens, experts, share))), offset);  // [T, 1]
        }
        return tape.JoinColumns(gates);
    }

    /// <summary>Values at (token, candidate): [T, K]; a candidate that counts for nothing reads 0.</summary>
    internal static Tensor Gather(Tape tape, RouterCall call, Tensor from, int[] candidate, int k, Func<int, bool>? skips = null)
    {
        var ids = new int[candidate.Length];
        for (var i = 0; i < ids.Length; i++)
        {
            var first = k == 1 ? 0 : i / k * call.Experts;
            ids[i] = candidate[i] < 0 || skips?.Invoke(i) == true ? -1 : first + candidate[i];
        }
        return k == 1 ? tape.GatherColumns(from, tape.UploadPlan(ids)) : tape.GatherElements(from, ids, call.Tokens, k);
    }

    /// <summary>
    /// Candidates that count for nothing, also in the divisor: the first choice of a token that is not wholly real, and an expert that comes again
    /// with its score set to 0 (Mesh-TensorFlow _top_2_gating).
    /// </summary>
    static Func<int, bool>? Skips(RouterCall call, Choices choices)
    {
        var hasPadding = call.Dialect.Padding == PaddingRule.Skipped && call.TokenMask.Length > 0;
        if (!hasPadding && !choices.Repeats(call)) return null;
        return i => hasPadding && i % choices.K == 0 && !call.IsReal(i / choices.K) || choices.IsRepeated(call, i);
    }

    /// <summary>Softmax over the candidates' logits alone.</summary>
    static Tensor SoftmaxOfChosen(Tape tape, RouterCall call, Tensor logits, Choices choices)
    {
        var chosen = Gather(tape, call, logits, choices.Candidate, choices.K);
        if (!choices.Candidate.Contains(-1)) return tape.Softmax(chosen);
        return tape.Softmax(tape.Shift(chosen, [.. choices.Candidate.Select(e => e < 0 ? RouterScores.Out : 0)]));
    }

    /// <summary>g / divisor.</summary>
    static Tensor Divide(Tape tape, RouterCall call, Tensor gates, Tensor divisor) =>
        tape.Round(tape.Divide(gates, tape.RepeatColumn(divisor, gates.Columns)), call.ScoreFormat);

    /// <summary>
    /// What gates are divided by [T, 1], as the dialect guards it: their sum, with that of the shared experts where these take part, or their norm. It is
    /// not detached: raising one gate lowers the others.
    /// </summary>
    static Tensor Divisor(Tape tape, RouterCall call, Tensor gates, Tensor? shared = null)
    {
        var d = call.Dialect;
        var rounded = tape.In(call.ScoreFormat);
        var sum = d.Normalize == Normalize.Norm2
            ? rounded.Activate(Activation.Sqrt, tape.SumRows(tape.Multiply(gates, gates)))
            : rounded.Round(tape.SumRows(gates));
        if (shared is not null) sum = rounded.Add(sum, tape.SumRows(shared));
        return (d.Normalize == Normalize.AfterDrop ? d.LateNormalizeGuard ?? d.NormalizeGuard : d.NormalizeGuard) switch
        {
            NormalizeGuard.Added => rounded.Shift(sum, d.NormalizeEpsilon),
            NormalizeGuard.AtLeast => tape.Clamp(sum, d.NormalizeEpsilon, double.PositiveInfinity),
            NormalizeGuard.OneUnlessPositive => tape.Add(sum, tape.OneUnlessPositive(sum)),
            NormalizeGuard.None => sum,
            var other => throw new RoutingException($"{call.Where}: unknown guard {other}"),
        };
    }

    /// <summary>First column from one, the rest from the other.</summary>
    static Tensor Blend(Tape tape, Tensor first, Tensor rest, int k)
    {
        var mask = new float[first.Value.Count];
        for (var i = 0; i < mask.Length; i++) mask[i] = i % k == 0 ? 1 : 0;
        Tensor Mask(float[] numbers) => tape.PlanConstant(first.Rows, k, numbers);
        return tape.Add(tape.Multiply(first, Mask(mask)), tape.Multiply(rest, Mask([.. mask.Select(m => 1 - m)])));
    }

    static float[] PerExpertCount(RoutingPlan plan)
    {
        var shares = new float[plan.RowOf.Length];
        for (var t = 0; t < plan.Tokens; t++)
        {
            var count = plan.RowOf.AsSpan(t * plan.Choices, plan.Choices).ToArray().Count(r => r >= 0);
            for (var j = 0; j < plan.Choices; j++) shares[t * plan.Choices + j] = 1f / Math.Max(1, count);
        }
        return shares;
    }

    static Tensor Ones(Tape tape, int rows, int columns)
    {
        var ones = tape.Rent(rows, columns);
        tape.Backend.Fill(ones, 1);
        return tape.Constant(ones);
    }

    static Tensor Rows(Tape tape, RouterCall call, double[] row, double factor)
    {
        var values = new float[call.Tokens * row.Length];
        for (var i = 0; i < values.Length; i++) values[i] = (float)(factor * row[i % row.Length]);
        return tape.PlanConstant(call.Tokens, row.Length, values);
    }

    /// <summary>Dense form [T, E]: the gate at each (token, expert), 0 elsewhere.</summary>
    public static Tensor Dense(Tape tape, Tensor gates, int[] expert, int experts)
    {
        var k = gates.Columns;
        Tensor? sum = null;
        for (var left = Enumerable.Range(0, expert.Length).Where(i => expert[i] >= 0).ToList(); left.Count > 0 || sum is null;)
        {
            // An expert that comes twice in a token goes into a second round, and rounds add up.
            var ids = new int[gates.Rows * experts];
            Array.Fill(ids, -1);
            List<int> again = [];
            foreach (var i in left)
            {
                ref var place = ref ids[i / k * experts + expert[i]];
                if (place < 0) place = i;
                else again.Add(i);
            }
            var round = tape.GatherElements(gates, ids, gates.Rows, experts);
            sum = sum is null ? round : tape.Add(sum, round);
            left = again;
        }
        return sum;
    }
}
