using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>What a verdict does not say and a reader should know: what the file lacks, and what its dialect cannot learn.</summary>
static class Notes
{
    public static IReadOnlyList<string> On(Case held, Verdict verdict, Func<IBackend> backend) =>
    [
        .. NoNumbers(held), .. Unread(held), .. Absent(held), .. Unlearned(held),
        .. TooCoarse(held, verdict, backend), .. OtherWeights(verdict), .. OtherRouter(held, verdict),
    ];

    /// <summary>Of a dialect that the file writes itself.</summary>
    static IEnumerable<string> Unread(Case c) => c.DialectText.TrimStart().StartsWith('{') ? UnreadAxes.Remarks(c.DialectText, c.Dialect) : [];

    static IEnumerable<string> Absent(Case c)
    {
        if (c.Dialect.CorrectionBias && !c.Has("router.correction_bias"))
            yield return $"{c.Dialect.Name} has a correction bias and the file has none: the choice was held to scores without it; add router.correction_bias";
        if (c.Dialect.BiasOfImages && c.Has("task_ids") && !c.Has("router.correction_bias.images"))
            yield return $"{c.Dialect.Name} has a bias of images and the file has none: they were chosen with the other; add router.correction_bias.images";
        if (c.Dialect.BiasOfImages && c.Has("router.correction_bias.images") && !c.Has("task_ids"))
            yield return $"nothing says which tokens are images, so that router.correction_bias.images is not read; add task_ids, 1 for an image";
        if (c.Dialect.SharedExpert && c.Has("experts.wi") && c.Has("claim.y") && !c.Has("shared.wi"))
            yield return $"{c.Dialect.Name} has a shared expert and the file has none: y was held to the routed experts alone; add shared.wi and shared.wo";
        if (c.Find("claim.expert") is { Shape.Length: 3 } expert && expert.Size(-1) is var k && k < c.Dialect.K)
            yield return $"claim.expert has {k} choices a token, and k is {c.Dialect.K}: say the parameter k, or claim all choices";
    }

    /// <summary>Infinities and NaN among what goes in: whatever they reach is no number either.</summary>
    static IEnumerable<string> NoNumbers(Case c)
    {
        foreach (var tensor in c.Tensors.Where(t => !t.Name.StartsWith("claim.", StringComparison.Ordinal)))
        {
            var at = Array.FindIndex(tensor.Values, v => !double.IsFinite(v));
            if (at < 0) continue;
            var holds = FormattableString.Invariant($"{tensor.Name} holds {tensor.Values[at]} at place {at}");
            yield return $"{holds}: whatever it reaches is no number; look there first";
        }
    }

    /// <summary>A single choice whose gate is divided by itself.</summary>
    static IEnumerable<string> Unlearned(Case c)
    {
        var d = c.Dialect.For(c.Training);
        if (d.K != 1 || d.Gate is not (Gate.Score or Gate.BiasedScore or Gate.ScoreThroughBias) || !c.Has("router.weight")) yield break;
        var isDivided = d.NormalizeSingle && d.Normalize switch
        {
            Normalize.None => false,
            Normalize.SumUnlessSoftmax => d.Score is not (Score.Softmax or Score.SoftmaxPost),
            Normalize.BeforeDrop or Normalize.AfterDrop or Normalize.Sum or Normalize.Norm2 => true,
            var other => throw new RoutingException($"{d.Name}: unknown normalisation {other}"),
        };
        if (isDivided || d.Score == Score.SoftmaxPost)
            yield return "k = 1 and the gates are divided by their sum: they are constant 1, so that the router gets its gradient from the losses alone";
    }

    /// <summary>
    /// Outputs all of which depart, by no fault that is made again here: whether they follow what is expected says where to look. Weights that are not in the
    /// file cannot be found.
    /// </summary>
    static IEnumerable<string> OtherWeights(Verdict verdict)
    {
        if (verdict.Causes.Count > 0 || verdict.Culprit is not { Stage: "y", Numbers: { } of } || 10 * of.Places.Count() < 9 * of.Claimed.Length) yield break;
        double product = 0, claimed = 0, expected = 0;
        for (var i = 0; i < of.Claimed.Length; i++)
        {
            product += of.Claimed[i] * of.Expected[i];
            (claimed, expected) = (claimed + of.Claimed[i] * of.Claimed[i], expected + of.Expected[i] * of.Expected[i]);
        }
        var likeness = product / Math.Sqrt(claimed * expected);
        // Of n numbers that have nothing to do with each other the likeness is about 1 / √n.
        if (!double.IsFinite(likeness)) yield break;
        var isAlien = likeness * likeness * of.Claimed.Length < 16;
        var how = isAlien ? "has nothing to do with what is expected" : "follows what is expected in part";
        var why = isAlien ? "was it left by another call, or made by another layer?"
            : "were the experts' weights others than the file's, as before an adapter was merged, or after an update?";
        yield return FormattableString.Invariant($"no fault of the experts that is known gives these numbers; y {how} (correlation {likeness:F2}): {why}");
    }

    /// <summary>Logits that no fault gives which is made again here.</summary>
    static IEnumerable<string> OtherRouter(Case held, Verdict verdict)
    {
        if (verdict.Causes.Count > 0 || verdict.Culprit is not { Stage: "logits", Numbers: { } of }) yield break;
        if (OtherMatrix.Of(held, of) is { } note) yield return note;
    }

    /// <summary>Float32 numbers that are off by more than float32 loses and by no more than a narrower format would.</summary>
    static IEnumerable<string> TooCoarse(Case held, Verdict verdict, Func<IBackend> backend)
    {
        if (verdict.Causes.Count > 0 || verdict.Culprit is not { Stage: "logits" or "y", Numbers: { Format: NumberFormat.Float32 } of } culprit) yield break;
        foreach (var format in (NumberFormat[])[NumberFormat.Float16, NumberFormat.BFloat16])
        {
            var d = held.Dialect;
            var narrow = culprit.Stage == "y" ? d with { ExpertsDtype = format } : d with { RouterDtype = format, LogitsDtype = NumberFormat.Float32 };
            if (Diagnosis.TryCheck(Stage.Until(held, verdict).Under(narrow), backend)?.Stages.FirstOrDefault(s => s.Stage == culprit.Stage)
                is not { Outcome: not Outcome.Differs }) continue;
            var words = format == NumberFormat.Float16 ? "TF32 or float16" : "bfloat16";
            var all = $"all of {of.Claimed.Length} numbers";
            yield return $"{culprit.Stage} is float32, but float32 does not lose as much: products of {words} would explain it ({all})";
            yield break;
        }
    }
}
