using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Conformance;

/// <summary>Laws of choices, gates and outputs that unit tests of the field state, asked of every dialect that promises them: first who does.</summary>
public static class LayerLaws
{
    /// <summary>Sixteen roundings to float32, relative: more than any number here is rounded on its way in a dialect that says float32.</summary>
    internal const double Rounding = 16.0 / (1 << 24);

    static bool IsWide(Dialect d)
    {
        NumberFormat?[] formats = [d.RouterWeightDtype, d.RouterDtype, d.LogitsDtype, d.ScoreDtype, d.GateDtype, d.ExpertsDtype, d.ActivationDtype, d.SumDtype];
        return formats.All(format => format is null or NumberFormat.Float32 or NumberFormat.Float64);
    }

    /// <summary>Each token's choices are the k largest of its own numbers.</summary>
    internal static bool ChoosesByRank(Dialect d) =>
        Probes.Has(d) && IsWide(d) && d.Selection == Selection.TopK && !d.IsRandom(true) && !d.ForceBalance && d.LaterBy is null && d.Taken == Taken.Removed
        && !d.BiasOfImages && d.Policy == Policy.All && d.Padding != PaddingRule.PicksRemoved && d.Score != Score.SoftmaxOverTokens;

    static bool RanksAll(Dialect d) => ChoosesByRank(d) && d.Groups == 1 && (d.SelectBy == SelectBy.Logits || d.Score != Score.SoftmaxPost);

    static bool LimitsGroups(Dialect d) => ChoosesByRank(d) && d.Parameters.Contains("groups") && d.GroupMask == GroupMask.MinusInfinity;

    /// <summary>A gate is a multiple of its expert's score, one multiple for all choices of a token.</summary>
    internal static bool GatesByScore(Dialect d) =>
        ChoosesByRank(d) && d.Gate == Gate.Score && d.Score != Score.SoftmaxPost && !d.ExpertScale && !d.SharedInGates && d.NullExperts == 0;

    static bool DividesBySum(Dialect d) =>
        GatesByScore(d) && !d.GlobalScale && d.NormalizeGuard != NormalizeGuard.OneUnlessPositive && (d.K > 1 || d.NormalizeSingle)
        && (d.Normalize is Normalize.Sum or Normalize.BeforeDrop || d.Normalize == Normalize.SumUnlessSoftmax && d.Score != Score.Softmax);

    /// <summary>The layer is Σ gate·f(x) and what does not depend on routes, and nobody is dropped.</summary>
    static bool IsMixture(Dialect d) =>
        DividesBySum(d) && d.CapacityFormula == CapacityFormula.None && d.Router == RouterForm.Linear && !d.CorrectionBias && d.Groups == 1
        && d.Combination == Combination.Gated && d.ApplyGateTo == GatePlace.Output && d.IdentityExperts == 0 && !d.RouterNorm && d.SharedChoices == 0;

    static bool MakesEveryChoice(Dialect d) => ChoosesByRank(d) && d.CapacityFormula == CapacityFormula.None && d.NullExperts == 0;

    static bool TakesACapacity(Dialect d) =>
        ChoosesByRank(d) && d.CapacityFormula is not (CapacityFormula.None or CapacityFormula.UnlessZero) && d.NullExperts == 0
        && d.DropPolicy == DropPolicy.Position && d.DroppedOutput is DroppedOutput.Zero or DroppedOutput.GateTimesInput;

    static bool HidesJitter(Dialect d) =>
        Probes.Has(d) && IsWide(d) && d.K == 1 && d.Selection == Selection.TopK && d.Jitter > 0 && d.JitterReach == JitterReach.Router
        && d.RouterPolicy == RouterPolicy.InputJitter && d.Gate == Gate.Score && d.Combination == Combination.Gated && !d.SharedExpert;

    /// <summary>The reference's answers, in double precision.</summary>
    public static Case Engine(Case asked)
    {
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(asked, backend);
    }

    internal static Case Asked(Dialect d, string probe) => Probes.Of(d, probe[(probe.LastIndexOf('-') + 1)..]).First(p => p.Name == probe).Case;

    internal static bool AreClose(double a, double b) => Math.Abs(a - b) <= Rounding * Math.Max(Math.Abs(a), Math.Abs(b));

    static LayerAnswer Answer(Dialect d, string probe, LayerEngine engine) => new(engine(Asked(d, probe)));

    static string? EachToken(LayerAnswer answer, Func<int, string?> find) => Enumerable.Range(0, answer.Tokens).Select(find).FirstOrDefault(s => s is not null);

    public static LayerLaw TheLargestAreChosen { get; } = new("The_chosen_are_the_k_largest_of_the_ranked_numbers", RanksAll, (d, engine) =>
    {
        var answer = Answer(d, "plain-train", engine);
        var bias = d.CorrectionBias ? answer.Case.Get("router.correction_bias").Values : new double[answer.Experts];
        var ranked = d.SelectBy == SelectBy.Logits ? answer.Logits : answer.Scores;
        double Rank(int t, int e) => ranked.Values[t * answer.Experts + e] + bias[e];
        return EachToken(answer, t =>
        {
            var chosen = answer.Chosen(t);
            double least = chosen.Min(e => Rank(t, e)), best = Enumerable.Range(0, answer.Experts).Except(chosen).Max(e => Rank(t, e));
            return least >= best ? null : $"token {t} left {best} and took {least}";
        });
    });

    public static LayerLaw GroupsAreFew { get; } = new("A_token_has_experts_of_no_more_groups_than_it_keeps", LimitsGroups, (d, engine) =>
    {
        var grouped = d with { Groups = 4, GroupsKept = 2, K = 4 };
        foreach (var probe in (string[])["plain-train", "all-negative-train"])
        {
            var answer = new LayerAnswer(engine(Asked(grouped, probe).Under(grouped)));
            var found = EachToken(answer, t =>
            {
                var groups = answer.Chosen(t).Select(e => e / (answer.Experts / grouped.Groups)).Distinct().Count();
                return groups <= grouped.GroupsKept ? null : $"token {t} has experts of {groups} groups in {probe}, {grouped.GroupsKept} are kept";
            });
            if (found is not null) return found;
        }
        return null;
    });

    public static LayerLaw GatesFollowScores { get; } = new("Gates_stand_to_each_other_as_the_scores_at_their_ids", GatesByScore, (d, engine) =>
    {
        var answer = Answer(d, "plain-train", engine);
        return EachToken(answer, t =>
        {
            for (var j = 1; j < answer.Choices; j++)
            {
                if (!answer.IsKept(t, 0) || !answer.IsKept(t, j)) continue;
                double left = answer.Gate(t, 0) * answer.Score(t, answer.Expert(t, j)), right = answer.Gate(t, j) * answer.Score(t, answer.Expert(t, 0));
                if (!AreClose(left, right)) return $"token {t}: gates {answer.Gate(t, 0)} and {answer.Gate(t, j)} are not as their scores";
            }
            return null;
        });
    });

    static bool HasABias(Dialect d) => GatesByScore(d) && d.CorrectionBias;

    public static LayerLaw BiasMovesNoWeight { get; } = new("A_bias_that_all_experts_share_changes_nothing", HasABias, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        var bias = asked.Get("router.correction_bias");
        Case Shared(double value) => engine(asked.With(bias with { Values = [.. bias.Values.Select(_ => value)] }));
        LayerAnswer without = new(Shared(0)), with = new(Shared(0.75));
        return EachToken(without, t =>
        {
            if (!without.Chosen(t).Order().SequenceEqual(with.Chosen(t).Order())) return $"token {t} chooses others";
            return AreClose(without.GateSum(t), with.GateSum(t)) ? null : $"token {t}: the gates' sum {without.GateSum(t)} becomes {with.GateSum(t)}";
        });
    });

    public static LayerLaw DividedGatesAddUp { get; } = new("Divided_gates_add_up_to_the_scaling_factor", DividesBySum, (d, engine) =>
    {
        var answer = Answer(d, "plain-train", engine);
        return EachToken(answer, t =>
        {
            if (!answer.IsWhole(t)) return null;
            var sum = answer.Chosen(t).Sum(e => answer.Score(t, e));
            var divisor = d.NormalizeGuard switch
            {
                NormalizeGuard.None => sum,
                NormalizeGuard.Added => sum + d.NormalizeEpsilon,
                NormalizeGuard.AtLeast => Math.Max(sum, d.NormalizeEpsilon),
                var other => throw new InvalidOperationException($"unknown guard {other}"),
            };
            var expected = d.ScalingFactor * sum / divisor;
            return AreClose(answer.GateSum(t), expected) ? null : $"token {t}: its gates add up to {answer.GateSum(t)}, not to {expected}";
        });
    });

    public static LayerLaw ScalingIsLinear { get; } = new("Twice_the_scaling_factor_is_twice_the_gates_and_no_other_route", GatesByScore, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        LayerAnswer once = new(engine(asked)), twice = new(engine(asked.Under(d with { ScalingFactor = 2 * d.ScalingFactor })));
        return EachToken(once, t =>
        {
            for (var j = 0; j < once.Choices; j++)
            {
                if (once.Expert(t, j) != twice.Expert(t, j)) return $"choice {j} of token {t} moved";
                if (!AreClose(2 * once.Gate(t, j), twice.Gate(t, j))) return $"gate {j} of token {t}: {once.Gate(t, j)} became {twice.Gate(t, j)}";
            }
            return null;
        });
    });

    public static LayerLaw EqualExpertsAreOne { get; } = new("Where_all_experts_are_equal_routes_do_not_matter", IsMixture, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        CaseTensor Equal(CaseTensor t)
        {
            var one = t.Values.Length / t.Size(0);
            return t with { Values = [.. Enumerable.Range(0, t.Values.Length).Select(i => t.Values[i % one])] };
        }
        asked = asked.With(asked.Tensors.Where(t => t.Name.StartsWith("experts.", StringComparison.Ordinal) && t.Size(0) > 1).Select(Equal).ToArray());
        var weight = asked.Get("router.weight");
        var turned = asked.With(weight with { Values = [.. weight.Values.Chunk(weight.Size(1)).Reverse().SelectMany(row => row).Select(w => w / 2)] });
        LayerAnswer straight = new(engine(asked)), reversed = new(engine(turned));
        return EachToken(straight, t =>
        {
            double[] a = straight.Y(t), b = reversed.Y(t);
            for (var c = 0; c < a.Length; c++)
                if (Math.Abs(a[c] - b[c]) > Rounding * Math.Max(1, a.Max(Math.Abs))) return $"y of token {t} is {a[c]} by one route and {b[c]} by another";
            return null;
        });
    });

    public static LayerLaw EveryChoiceIsMade { get; } = new("Without_capacity_exactly_T_times_k_choices_are_made", MakesEveryChoice, (d, engine) =>
    {
        var answer = Answer(d, "plain-train", engine);
        var counted = answer.Case.Get("claim.count").Values.Sum();
        if (counted != answer.Tokens * answer.Choices) return $"{answer.Tokens} tokens of {answer.Choices} choices are counted as {counted}";
        return EachToken(answer, t => answer.IsWhole(t) ? null : $"token {t} has no place for one of its choices");
    });

    public static LayerLaw RoomForAllKeepsAll { get; } = new("A_capacity_of_all_tokens_drops_nobody_and_is_reported", TakesACapacity, (d, engine) =>
    {
        var asked = Asked(d, "overflow-train");
        var size = asked.Get("x").Size(1);
        var answer = new LayerAnswer(engine(asked.Under(d with { Capacity = size })));
        if (answer.Case.Find("claim.capacity") is { } capacity && capacity.Values[0] < size) return $"a capacity of {size} is reported as {capacity.Values[0]}";
        return EachToken(answer, t => answer.IsWhole(t) ? null : $"token {t} is dropped with room for all");
    });

    public static LayerLaw ExpertsDoNotSeeTheJitter { get; } = new("Experts_do_not_see_the_jitter_of_their_router", HidesJitter, (d, engine) =>
    {
        var asked = Asked(d, "plain-train");
        if (asked.Find("draws.jitter") is not { } draws) return null;
        Case Drawn(double factor) => engine(asked.With(draws with { Values = [.. draws.Values.Select(_ => factor)] }));
        LayerAnswer still = new(Drawn(1)), shaken = new(Drawn(0.75));
        return EachToken(still, t =>
        {
            if (!still.IsKept(t, 0) || !shaken.IsKept(t, 0) || still.Expert(t, 0) != shaken.Expert(t, 0)) return null;
            double[] a = still.Y(t), b = shaken.Y(t);
            for (var c = 0; c < a.Length; c++)
            {
                double left = a[c] * shaken.Gate(t, 0), right = b[c] * still.Gate(t, 0);
                if (Math.Abs(left - right) > Rounding * (1 + Math.Abs(left)))
                    return $"token {t}: its expert's output is {a[c] / still.Gate(t, 0)} and {b[c] / shaken.Gate(t, 0)}";
            }
            return null;
        });
    });

    /// <summary>Two names that compute the same where the second's parameters are set so, and nothing is padding.</summary>
    static readonly (string One, string Other, Func<Dialect, Dialect> Set)[] Siblings =
    [
        ("mesh.top_2", "mesh.top_n", d => d with { K = 2 }),
        ("flax.tokens_choose_masked", "flax.tokens_choose_scatter", d => d),
    ];

    public static LayerLaw SiblingsAgree { get; } = new("Siblings_give_the_same_answers", d => Siblings.Any(s => s.One == d.Name), (d, engine) =>
    {
        foreach (var (_, name, set) in Siblings.Where(s => s.One == d.Name))
            foreach (var probe in (string[])["plain-train", "overflow-train"])
            {
                Case asked = Asked(d, probe), other = asked.Under(set(BuiltIn.Named(name)));
                if (RouteLaws.Different(engine(asked), engine(other)) is { } claim) return $"{claim} differs from {name}'s in {probe}";
            }
        return null;
    });

    public static IReadOnlyList<LayerLaw> All { get; } =
    [
        TheLargestAreChosen, GroupsAreFew, GatesFollowScores, BiasMovesNoWeight, DividedGatesAddUp, ScalingIsLinear, EqualExpertsAreOne, EveryChoiceIsMade,
        RoomForAllKeepsAll, ExpertsDoNotSeeTheJitter, SiblingsAgree,
        LossLaws.UniformScores, LossLaws.PaddingIsAbsent, LossLaws.OneSequence, LossLaws.NoLossWithoutGradient, LossLaws.NoCoefficientNoGradient,
        LossLaws.BiasSeesPooledCounts, LossLaws.ImportanceIsClean,
    ];
}
