using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>What a verdict does not say and a reader should know: what the file lacks, and what its dialect cannot learn.</summary>
static class Notes
{
    public static IReadOnlyList<string> On(Case held, Verdict verdict, Func<IBackend> backend) =>
        [.. Absent(held), .. Unlearned(held), .. TooCoarse(held, verdict, backend)];

    static IEnumerable<string> Absent(Case c)
    {
        if (c.Dialect.CorrectionBias && !c.Has("router.correction_bias"))
            yield return $"{c.Dialect.Name} has a correction bias and the file has none: the choice was held to scores without it; add router.correction_bias";
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
