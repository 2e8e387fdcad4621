using SparseExperts.Oracle;
using SparseExperts.Routing;
using static SparseExperts.Conformance.LayerLaws;

namespace SparseExperts.Conformance;

/// <summary>Laws of auxiliary losses, their gradients, and the correction bias: a part of <see cref="LayerLaws"/>.</summary>
public static class LossLaws
{
    static bool HasProduct(Dialect d) =>
        Probes.Has(d) && d.Balance == BalanceLoss.Product && !d.IsRandom(true) && d.Router == RouterForm.Linear && !d.RouterBias;

    /// <summary>All choices or the first are counted before anything is dropped, the mass is a distribution, and E is the scale.</summary>
    static bool CountsWhole(Dialect d) =>
        HasProduct(d) && d.Selection == Selection.TopK && d.BalanceCount is BalanceCount.FirstChoice or BalanceCount.AllChoices or BalanceCount.FreshTopK
        && (d.BalanceMass is BalanceMass.Distribution or BalanceMass.SoftmaxOfLogits || d.BalanceMass == BalanceMass.Scores && d.Score == Score.Softmax)
        && d.BalanceScale != BalanceScale.OneOverExperts && d.NullExperts == 0 && !d.CountsElsewhere && d.Microbatches == 1 && !d.ForceBalance
        && d.BalanceLevel != BalanceLevel.RankShare;

    static bool LeavesPaddingOut(Dialect d) =>
        HasProduct(d) && d.Selection == Selection.TopK && d.IgnorePadding != false && d.BalanceTokens == BalanceTokens.RealOverReal
        && d.ZLoss != ZLoss.AllTokens && d.CapacityFormula == CapacityFormula.None && !d.CountsElsewhere
        && d.Importance == ImportanceLoss.None && d.Load == LoadLoss.None && !d.ForceBalance;

    static bool HasLevels(Dialect d) =>
        HasProduct(d) && d.BalanceLevel is BalanceLevel.Batch or BalanceLevel.Sequence or BalanceLevel.SequenceSum or BalanceLevel.Group;

    static bool Punishes(Dialect d) =>
        HasProduct(d) && d.BalanceCoefficient > 0 && Dialect.In(d.LossPhase, training: true) && d.Combination == Combination.Gated
        && d.Loss != LossChoice.LoadImportance;

    static bool MovesABias(Dialect d) =>
        Probes.Has(d) && d.CorrectionBias && d.BiasRate > 0 && d.CapacityFormula == CapacityFormula.None && !d.IsRandom(true)
        && d.Selection == Selection.TopK && !d.ForceBalance && !d.CountsElsewhere;

    static bool MeasuresCleanScores(Dialect d) => Probes.Has(d) && d.Importance == ImportanceLoss.CleanScores && d.Noise != LogitNoise.None;

    static IEnumerable<CaseTensor> Losses(Case answered) =>
        answered.Tensors.Where(t => t.Name.StartsWith("claim.loss.", StringComparison.Ordinal) && t.Name != "claim.loss.total");

    static string? Unequal(Case a, Case b)
    {
        foreach (var loss in Losses(a))
            if (b.Find(loss.Name) is not { } other || !AreClose(loss.Values[0], other.Values[0]))
                return $"{loss.Name[6..]} is {loss.Values[0]} and {b.Find(loss.Name)?.Values[0]}";
        return null;
    }

    public static LayerLaw UniformScores { get; } = new("Uniform_scores_give_one_or_the_number_of_choices", CountsWhole, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        var x = asked.Get("x");
        var answered = engine(asked.With(x with { Values = [.. x.Values.Select(_ => 0.0)] }));
        if (answered.Find("claim.loss.balance") is not { } balance) return null;
        var value = balance.Values[0];
        return AreClose(value, 1) || AreClose(value, d.K) ? null : $"the balance loss of uniform scores is {value}";
    });

    public static LayerLaw PaddingIsAbsent { get; } = new("Padding_at_the_end_leaves_losses_as_if_it_were_absent", LeavesPaddingOut, (d, engine) =>
    {
        var asked = Asked(d, "plain-train").Without("cotangent.y");
        int size = asked.Get("x").Size(1), real = size - 3;
        CaseTensor Cut(CaseTensor t) => t with { Shape = [1, real, .. t.Shape[2..]], Values = t.Values[..(t.Values.Length / size * real)] };
        bool IsOfTokens(CaseTensor t) => t.Shape.Length >= 2 && t.Shape[0] == 1 && t.Shape[1] == size;
        var padding = new CaseTensor("padding", "U8", [1, size], [.. Enumerable.Range(0, size).Select(t => t < real ? 1.0 : 0)]);
        var bare = asked.With(asked.Tensors.Where(IsOfTokens).Select(Cut).ToArray());
        return Unequal(engine(bare), engine(asked.With(padding)));
    });

    public static LayerLaw OneSequence { get; } = new("A_loss_over_one_sequence_is_the_loss_over_its_batch", HasLevels, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        var own = engine(asked);
        BalanceLevel[] others = [.. new[] { BalanceLevel.Batch, BalanceLevel.Sequence, BalanceLevel.Group }.Where(level => level != d.BalanceLevel)];
        return others.Select(level => Unequal(own, engine(asked.Under(d with { BalanceLevel = level })))).FirstOrDefault(found => found is not null);
    });

    /// <summary>With a cotangent of 0 whatever the router gets comes from its losses.</summary>
    static Case LossesAlone(Dialect d)
    {
        var asked = Asked(d, "plain-train");
        return asked.Find("cotangent.y") is { } y ? asked.With(y with { Values = [.. y.Values.Select(_ => 0.0)] }) : asked;
    }

    public static LayerLaw NoLossWithoutGradient { get; } = new("No_auxiliary_loss_is_without_a_gradient", Punishes, (d, engine) =>
    {
        var answered = engine(LossesAlone(d));
        if (answered.Find("claim.loss.balance") is null || answered.Find("claim.grad.router.weight") is not { } gradient) return null;
        return gradient.Values.Any(v => v != 0) ? null : "there is a balance loss, and the router's gradient is 0";
    });

    public static LayerLaw NoCoefficientNoGradient { get; } = new("With_coefficients_of_zero_losses_give_no_gradient", Punishes, (d, engine) =>
    {
        var answered = engine(LossesAlone(d).Under(d.WithoutLossCoefficients));
        if (answered.Find("claim.grad.router.weight") is not { } gradient) return null;
        return gradient.Values.All(v => v == 0) ? null : $"a gradient of {gradient.Values.Max(Math.Abs)} comes from losses with coefficient 0";
    });

    public static LayerLaw BiasSeesPooledCounts { get; } = new("A_bias_is_stepped_by_the_counts_of_all_groups_together", MovesABias, (d, engine) =>
    {
        var asked = Asked(d, "groups-train");
        var x = asked.Get("x");
        int groups = x.Size(0), size = x.Size(1), width = x.Size(2);
        // Groups that want other experts: the second one's logits run backwards.
        double Turned(int i) => x.Values[i / width < size || i % width >= width - 2 ? i : i / width * width + width - 3 - i % width];
        asked = asked.With(x with { Values = [.. Enumerable.Range(0, x.Values.Length).Select(Turned)] });
        CaseTensor Join(CaseTensor t) => t with { Shape = [1, groups * size, .. t.Shape[2..]] };
        bool IsOfTokens(CaseTensor t) => t.Shape.Length >= 2 && t.Shape[0] == groups && t.Shape[1] == size;
        var joined = asked.With(asked.Tensors.Where(IsOfTokens).Select(Join).ToArray());
        double[] apart = engine(asked).Get("claim.correction_bias").Values, together = engine(joined).Get("claim.correction_bias").Values;
        var e = Enumerable.Range(0, apart.Length).FirstOrDefault(i => apart[i] != together[i], -1);
        return e < 0 ? null : $"the bias of expert {e} becomes {apart[e]} by groups and {together[e]} as one";
    });

    public static LayerLaw ImportanceIsClean { get; } = new("Importance_of_clean_scores_does_not_move_with_the_noise", MeasuresCleanScores, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        if (asked.Find("draws.noise") is not { } noise) return null;
        var turned = noise with { Values = [.. noise.Values.Select(n => -2 * n)] };
        double? Of(Case c) => engine(c).Find("claim.loss.importance")?.Values[0];
        double? one = Of(asked), other = Of(asked.With(turned));
        return one == other ? null : $"the importance loss is {one} with one noise and {other} with another";
    });
}
