using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From a correction bias after its step to what was counted, and to how the step was made of it.</summary>
static class BiasCauses
{
    /// <param name="Axis">The axis that has the same as a value, if any.</param>
    sealed record Counting(string Value, string Words, double[] Counts, string? Axis = null);

    /// <param name="Axis">The axis that has the same as a value, if any.</param>
    sealed record Stepping(string Value, string Words, Func<double[], double[]> Steps, string? Axis = null);

    public static FoundCauses Find(Case held, Departure of, Func<IBackend> backend)
    {
        if (held.Find("router.correction_bias") is not { } before || before.Values.Length != of.Claimed.Length) return FoundCauses.None;
        double[] Steps(double[] after) => [.. after.Select((a, i) => a - before.Values[i])];
        var steps = of with { Claimed = Steps(of.Claimed), Expected = Steps(of.Expected) };
        var multiple = Multiples.Find("the step of the bias", steps, held.Dialect, 1);
        if (held.Dialect.Selection == Selection.Quantile) return multiple is null ? FoundCauses.None : new([multiple]);
        var found = Stage.On(held, backend, call =>
            FoundCauses.Among(of, Of(held, call, before.Values)) is { Causes.Count: > 0 } one ? one
                : FoundCauses.Among(of, InTwoPoints(held, call, before.Values)));
        if (multiple is null) return found;
        // A step of nothing has many causes; that a factor says so is the least of them.
        if (multiple.Value == "times 0") return found.And(new([multiple]));
        return new FoundCauses([multiple]).And(found with { Causes = [.. found.Causes.Where(c => c.Value != "sign turned")] });
    }

    static IEnumerable<FaultyNumbers> Of(Case held, ClaimedCall c, double[] before)
    {
        var (counts, steps) = (Counts(held, c), Ways(c.Call.Dialect).ToArray());
        foreach (var counting in counts[1..]) yield return New(before, counting, steps[0], counting.Value, counting.Words, counting.Axis);
        var right = After(before, counts[0], steps[0]);
        FaultyNumbers Of(string value, string words, Func<double, int, double> of) =>
            new(new("bias update", value, words), () => ([.. right.Values.Select(of)], [.. right.Errors.Select(e => 2 * e)]));
        yield return Of("step alone", "the bias is the step alone: what it was before is lost", (v, i) => v - before[i]);
        var mean = right.Values.Average();
        yield return Of("centred after the step", "the mean was taken off the bias after its step", (v, _) => v - mean);
        foreach (var stepping in steps[1..]) yield return New(before, counts[0], stepping, stepping.Value, stepping.Words, stepping.Axis);
    }

    /// <summary>Other counts, and another step made of them.</summary>
    static IEnumerable<FaultyNumbers> InTwoPoints(Case held, ClaimedCall c, double[] before) =>
        from counting in Counts(held, c)[1..]
        from stepping in Ways(c.Call.Dialect).Skip(1)
        select New(before, counting, stepping, $"{counting.Value}, {stepping.Value}", $"{counting.Words}; and {stepping.Words}");

    static FaultyNumbers New(double[] before, Counting counting, Stepping stepping, string value, string words, string? axis = null) =>
        new(new("bias update", value, words) { Axis = axis }, () => After(before, counting, stepping));

    static (double[] Values, double[] Errors) After(double[] before, Counting counting, Stepping stepping)
    {
        var step = stepping.Steps(counting.Counts);
        double[] errors = [.. before.Zip(step, (b, s) => 4 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(b) + Math.Abs(s)))];
        return ([.. before.Zip(step, (b, s) => b + s)], errors);
    }

    /// <summary>What may have been counted, the right numbers first, and none twice.</summary>
    static Counting[] Counts(Case held, ClaimedCall c)
    {
        Counting[] all = [.. AllCounts(held, c)];
        return [.. all.Where((n, i) => all.Take(i).All(before => !before.Counts.AsSpan().SequenceEqual(n.Counts)))];
    }

    static IEnumerable<Counting> AllCounts(Case held, ClaimedCall c)
    {
        var (call, plan, k, choices) = (c.Call, c.Routed.Plan, c.Choices.K, c.Choices);
        double[] Of(int[] expert, Func<int, bool> counts)
        {
            var result = new double[call.Experts];
            for (var i = 0; i < expert.Length; i++)
                if (expert[i] >= 0 && counts(i)) result[expert[i]]++;
            return result;
        }
        yield return new("", "", BiasUpdate.Counts(held, call, plan));
        yield return new("padding counted", "the step of the bias counts padding too", Of(choices.Candidate, _ => true), "bias_tokens");
        yield return new("real tokens", "the step of the bias counts real tokens alone", Of(choices.Expert, i => call.IsReal(i / k)), "bias_tokens");
        yield return new("before dropping", "the step of the bias counts choices that were dropped", Of(choices.Expert, _ => true));
        yield return new("after dropping", "the step of the bias counts the choices that were kept", Of(plan.Expert, i => plan.RowOf[i] >= 0));
        if (k > 1) yield return new("first choices", "the step of the bias counts first choices alone", Of(choices.Expert, i => i % k == 0));
        if (call.Groups > 1)
        {
            yield return new("the first group", "the step of the bias counts the first group alone", Of(choices.Expert, i => i / k < call.Size));
            yield return new("the last group", "the step of the bias counts the last group alone", Of(choices.Expert, i => i / k >= call.Tokens - call.Size));
        }
        if (call.Dialect.BiasOfImages)
            yield return new("images too", "the step of the bias of text counts images too", CorrectionBias.Counts(call.Dialect, plan, call.IsReal));
        if (held.Has("router.previous_count"))
            yield return new("this batch alone", "the counts of earlier micro-batches are not in the step of the bias",
                CorrectionBias.Counts(call.Dialect, plan, call.IsReal));
    }

    /// <summary>How a step may have been made of counts, the right way first.</summary>
    static IEnumerable<Stepping> Ways(Dialect d)
    {
        double[] Centred(IEnumerable<double> steps)
        {
            double[] all = [.. steps];
            var mean = d.BiasCentred ? all.Average() : 0;
            return [.. all.Select(s => s - mean)];
        }
        Func<double[], double[]> Each(Func<double, double[], double> of) => n => Centred(n.Select(own => d.BiasRate * of(own, n)));
        static double Sign(double v) => Math.Sign(v);
        yield return new("", "", Each((own, n) => Sign(n.Average() - own)));
        yield return new("sign turned", "the sign of the bias's step is turned: busy experts become busier", Each((own, n) => Sign(own - n.Average())));
        yield return new("proportional", "the step of the bias grows with the distance from the mean: it has the rate times mean − count, not its sign",
            Each((own, n) => n.Average() - own));
        yield return new("proportional to the share", "the step of the bias grows with the distance from the mean, as a share of the mean",
            Each((own, n) => (n.Average() - own) / n.Average()));
        yield return new("proportional to the part", "the step of the bias grows with the distance from the mean, as a part of all choices",
            Each((own, n) => (n.Average() - own) / n.Sum()));
        yield return new("share against count", "a share of the tokens is compared with a count: all experts step alike",
            Each((own, n) => Sign(1.0 / n.Length - own)));
        yield return new("up at the mean", "an expert at the mean steps up", Each((own, n) => own <= n.Average() ? 1 : -1));
        yield return new("down at the mean", "an expert at the mean steps down", Each((own, n) => own < n.Average() ? 1 : -1));
        yield return new("against the median", "counts are compared with their median and not their mean", Each((own, n) => Sign(Median(n) - own)));
        yield return new("against the largest", "counts are compared with the largest", Each((own, n) => Sign(n.Max() - own)));
        yield return new("up alone", "only experts below the mean step", Each((own, n) => Math.Max(0, Sign(n.Average() - own))));
        yield return new("down alone", "only experts above the mean step", Each((own, n) => Math.Min(0, Sign(n.Average() - own))));
        yield return d.BiasCentred
            ? new("not centred", "the mean of the steps is not taken off", n => [.. n.Select(own => d.BiasRate * Sign(n.Average() - own))], "bias_centred")
            : new("centred", "the mean of the steps is taken off", n =>
            {
                double[] steps = [.. n.Select(own => d.BiasRate * Sign(n.Average() - own))];
                return [.. steps.Select(s => s - steps.Average())];
            }, "bias_centred");
    }

    static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
