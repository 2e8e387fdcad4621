using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Scalar;

namespace SparseExperts.Tests.Oracle;

/// <summary>
/// Faults planted in right answers. Each is made by a small computation of its own from the claims of a right call, none by what the oracle itself looks for;
/// what comes after the planted stage is then made from it, as the engine with that fault would have.
/// </summary>
static partial class Planting
{
    /// <summary>
    /// A fault: the stage at which it shows, words of which one must be in the first cause, and the claims with it; null where a call cannot have it.
    /// </summary>
    public sealed record Fault(string Name, string Stage, string[] Words, Func<Case, Case?> Make);

    /// <summary>What came of a planted fault.</summary>
    public sealed record Found(string Place, Fault Fault, Verdict Verdict)
    {
        public bool IsCaught => Verdict.Culprit?.Stage == Fault.Stage;
        public Cause? First => Verdict.Causes.FirstOrDefault();
        public bool IsNamed => First is { } first && Fault.Words.Any(w => Says(first, w));
        public bool IsListed => Verdict.Causes.Any(c => Fault.Words.Any(w => Says(c, w)));
        public bool IsFalse => First is not null && !IsNamed && Verdict.IsCertain;

        static bool Says(Cause cause, string word) => $"{cause.What} = {cause.Value}: {cause.Sentence}".Contains(word, StringComparison.Ordinal);
    }

    static ScalarBackend<Tracked> Bounds() => new();

    /// <summary>The right answers to a probe.</summary>
    public static Case Answered(Case asked)
    {
        using var backend = new ScalarBackend<Float64>();
        return CaseAnswers.Fill(asked, backend);
    }

    public static Verdict Judge(Case c)
    {
        using var backend = Bounds();
        return Causes.On(c, CaseCheck.Run(c, backend), Bounds);
    }

    /// <summary>Everything that can be planted in a right call.</summary>
    public static IEnumerable<Found> In(string place, Case right, Func<Fault, bool>? which = null)
    {
        foreach (var fault in Faults.Concat(Kinds))
        {
            if (which?.Invoke(fault) == false || !right.Has($"claim.{fault.Stage}") || fault.Make(right) is not { } wrong) continue;
            var settled = Settled(wrong, fault.Stage);
            var claim = $"claim.{fault.Stage}";
            if (settled is null || Equal(right.Get(claim).Values, settled.Get(claim).Values)) continue;
            using var backend = Bounds();
            if (CaseCheck.Run(settled, backend).Culprit is null) continue;     // rounding, or a tie, hides it here
            yield return new(place, fault, Judge(settled));
        }
    }

    static bool Equal(double[] a, double[] b) => a.Zip(b).All(p => Math.Abs(p.First - p.Second) <= 1e-5 * (1e-3 + Math.Abs(p.First)));

    /// <summary>The claims after a stage, made from those before them; null where that does not end.</summary>
    static Case? Settled(Case c, string stage)
    {
        if (stage.StartsWith("grad.", StringComparison.Ordinal)) return c;
        for (var i = 0; i < 12; i++)
        {
            using var backend = Bounds();
            Verdict verdict;
            try
            {
                verdict = CaseCheck.Run(c, backend);
            }
            catch (Exception e) when (e is CaseException or RoutingException)
            {
                return null;
            }
            var later = verdict.Stages.SkipWhile(s => s.Stage != stage).Skip(1);
            var wrong = later.FirstOrDefault(s => s.Outcome == Outcome.Differs && !s.Stage.StartsWith("grad.", StringComparison.Ordinal));
            if (wrong?.Numbers is not { } numbers) return wrong is null ? c : null;
            var claim = c.Get($"claim.{wrong.Stage}");
            c = c.With(claim with { Values = Array.ConvertAll(numbers.Expected, v => (double)(float)v) });
        }
        return null;
    }

    static Case With(Case c, string name, Func<double[], double[]> change) =>
        c.Get(name) is var t ? c.With(t with { Values = Array.ConvertAll(change(t.Values), v => (double)(float)v) }) : c;

    static double[] Each(double[] values, Func<double, double> of) => Array.ConvertAll(values, v => of(v));

    // Sizes of a call.
    static (int Groups, int Size, int Experts, int K) Sizes(Case c)
    {
        var shape = c.Get("x").Shape;
        return ((int)shape[0], (int)shape[1], (c.Find("claim.logits") ?? c.Get("claim.combine")).Size(-1), c.Find("claim.expert")?.Size(-1) ?? 1);
    }

    static bool IsReal(Case c, int token) => c.Find("padding") is not { } padding || padding.Values[token] == 1;

    public static IReadOnlyList<Fault> Faults { get; } =
    [
        // Slots.
        new("later choices from 0", "slot", ["counted from 0"], c => Slots(c, (asked, before, last, kept) => asked)),
        new("after the last earlier choice", "slot", ["last earlier choice"],
            c => Sizes(c).K < 3 ? null : Slots(c, (asked, before, last, kept) => asked + last)),
        new("one slot too many", "slot", ["off by one: an expert takes one token more"], c => Slots(c, (asked, before, last, kept) => asked + before, more: 1)),
        new("one slot too few", "slot", ["off by one: an expert takes one token less"], c => Slots(c, (asked, before, last, kept) => asked + before, more: -1)),
        new("tokens from the last", "slot", ["reversed"], c => Slots(c, (asked, before, last, kept) => asked + before, reversed: true)),
        new("groups pooled in slots", "slot", ["pooled"],
            c => Sizes(c).Groups < 2 ? null : Slots(c, (asked, before, last, kept) => asked + before, pooled: true)),
        new("places among the kept of earlier choices", "slot", ["that were kept", "among the kept"],
            c => Slots(c, (asked, before, last, kept) => asked + kept)),
        new("smallest kept", "slot", ["smallest", "reversed"], SmallestKept),
        new("worst token first", "slot", ["smallest best score", "reversed"], WorstFirst),
        // Router and scores.
        new("router fed with the token before", "logits", ["another token"], c => !c.Has("router.weight") ? null : With(c, "claim.logits", v => Before(c, v))),
        new("logits are probabilities", "logits", ["probabilities"],
            c => !c.Has("router.weight") ? null : With(c, "claim.logits", v => Rows(v, Sizes(c).Experts, Softmax))),
        new("logits doubled", "logits", ["2 times"], c => !c.Has("router.weight") ? null : With(c, "claim.logits", v => Each(v, x => 2 * x))),
        new("softmax twice", "scores", ["twice"],
            c => c.Dialect.Score != Score.Softmax ? null : With(c, "claim.scores", v => Rows(v, Sizes(c).Experts, Softmax))),
        new("scores over their sum", "scores", ["sum over all experts"],
            c => c.Dialect.Score != Score.Sigmoid ? null : With(c, "claim.scores", v => Rows(v, Sizes(c).Experts, OverSum))),
        // Choices.
        new("smallest chosen", "expert", ["smallest"], Smallest),
        new("choices reversed", "expert", ["reverse order"],
            c => Sizes(c).K < 2 || c.Dialect.OpenOrder ? null : With(c, "claim.expert", v => Rows(v, Sizes(c).K, row => [.. row.Reverse()]))),
        new("expert ids shifted", "expert", ["one too large"], c => With(c, "claim.expert", v => Each(v, e => e < 0 ? e : (e + 1) % Sizes(c).Experts))),
        new("expert 0 everywhere", "expert", ["never written"], c => With(c, "claim.expert", v => Each(v, _ => 0))),
        new("capacity one too large", "capacity", ["one too large"], c => With(c, "claim.capacity", v => Each(v, n => n + 1))),
        // Gates.
        new("gates applied twice", "gate", ["applied twice"], c => With(c, "claim.gate", v => Each(v, g => g * g))),
        new("gates scaled", "gate", ["1.7 times"], c => With(c, "claim.gate", v => Each(v, g => 1.7 * g))),
        new("gates reversed", "gate", ["reverse order"],
            c => Sizes(c).K < 2 ? null : With(c, "claim.gate", v => Rows(v, Sizes(c).K, row => [.. row.Reverse()]))),
        new("gates are raw logits", "gate", ["raw logits"],
            c => c.Has("claim.expert") ? With(c, "claim.gate", v => [.. v.Select((g, i) => g == 0 ? 0 : At(c, "claim.logits", i))]) : null),
        new("combine squared", "combine", ["applied twice"], c => c.Has("claim.gate") ? With(c, "claim.combine", v => Each(v, g => g * g)) : null),
        new("counts of the kept", "count", ["after dropping"], CountsOfKept),
        // Losses.
        new("z-loss not squared", "loss.z", ["not squared"], c => With(c, "claim.loss.z", _ => [MeanOfZ(c, z => z, c.Dialect.ZLoss == ZLoss.AllTokens)])),
        new("z-loss with padding otherwise", "loss.z", ["padding", "z_loss", "all_tokens", "real_tokens"],
            c => c.Has("padding") && c.Dialect.PaddingLogits == PaddingLogits.Kept
                ? With(c, "claim.loss.z", _ => [MeanOfZ(c, z => z * z, c.Dialect.ZLoss != ZLoss.AllTokens)]) : null),
        new("importance not squared", "loss.importance", ["not its square"], c => With(c, "claim.loss.importance", v => Each(v, Math.Sqrt))),
        new("importance by the other deviation", "loss.importance", ["variance"], c => OtherVariance(c, "claim.loss.importance")),
        new("load by the other deviation", "loss.load", ["variance"], c => OtherVariance(c, "claim.loss.load")),
        new("balance loss of groups added up", "loss.balance", ["sum over groups", "balance_level"],
            c => Sizes(c).Groups < 2 ? null : With(c, "claim.loss.balance", v => Each(v, l => l * Sizes(c).Groups))),
        new("balance loss times its coefficient", "loss.balance", ["coefficient"],
            c => c.Dialect.BalanceCoefficient is 0 or 1 ? null : With(c, "claim.loss.balance", v => Each(v, l => l * c.Dialect.BalanceCoefficient))),
        new("z-loss left out of the total", "loss.total", ["z is not in the total", "z_coefficient"], c => c.Find("claim.loss.z") is { } z
            && c.Dialect.ZCoefficient != 0 ? With(c, "claim.loss.total", v => [v[0] - c.Dialect.ZCoefficient * z.Values[0]]) : null),
        // The bias's step.
        new("bias stepped the other way", "correction_bias", ["sign is turned", "-1"],
            c => With(c, "claim.correction_bias", v => [.. v.Select((b, i) => 2 * c.Get("router.correction_bias").Values[i] - b)])),
        new("bias stepped in proportion", "correction_bias", ["grows with the distance"], Proportional),
        // The output.
        new("gates twice in y", "y", ["applied twice"], c => !c.Has("claim.gate") ? null : Output(c, c.With(Squared(c.Get("claim.gate"))))),
        new("shared gate ignored", "y", ["gate of the shared expert"], c => c.Has("shared.gate") ? Output(c, c.Without("shared.gate")) : null),
        new("shared gates ignored", "y", ["gates of the shared experts"],
            c => c.Find("claim.shared_gate") is { } gate ? Output(c, c.With(gate with { Values = Each(gate.Values, _ => 1) })) : null),
        new("identity experts ignored", "y", ["identity"], IdentityIgnored),
        new("residual added", "y", ["residual"],
            c => c.Get("claim.y").Values.Length == c.Get("x").Values.Length ? With(c, "claim.y", v => [.. v.Zip(c.Get("x").Values, (y, x) => y + x)]) : null),
        // Gradients.
        new("gates detached", "grad.x", ["detached", "through the gates"], Detached),
        new("gradient doubled", "grad.x", ["2 times"], c => With(c, "claim.grad.x", v => Each(v, g => 2 * g))),
    ];

    static double[] Rows(double[] values, int width, Func<double[], double[]> of) => [.. values.Chunk(width).SelectMany(of)];

    static double[] Softmax(double[] row) => row.Max() is var max && row.Sum(v => Math.Exp(v - max)) is var sum
        ? [.. row.Select(v => Math.Exp(v - max) / sum)] : row;

    static double[] OverSum(double[] row) => row.Sum() is var sum ? [.. row.Select(v => v / sum)] : row;

    static double[] Before(Case c, double[] values)
    {
        var (_, size, experts, _) = Sizes(c);
        return [.. values.Select((v, i) => i / experts % size == 0 ? v : values[i - experts])];
    }

    /// <summary>A number of [T, E] at choice i.</summary>
    static double At(Case c, string name, int i) => c.Get("claim.expert").Values[i] is >= 0 and var e
        ? c.Get(name).Values[i / Sizes(c).K * Sizes(c).Experts + (int)e] : 0;

    /// <summary>
    /// Slots by counting requests: a request has those of its own choice before it, and those of earlier choices (all, of the last, or kept ones).
    /// </summary>
    static Case? Slots(Case c, Func<int, int, int, int, int> place, int more = 0, bool reversed = false, bool pooled = false,
        int ranks = 1)
    {
        var d = c.Dialect.For(c.Training);
        if (d.DropPolicy is not (DropPolicy.Position or DropPolicy.None) || d.BatchPrioritized || d.Order != RequestOrder.ChoiceMajor || !c.Has("claim.expert")
            || d.DroppedOutput is DroppedOutput.SharedSlot or DroppedOutput.CollidingSlot || !c.Has("claim.capacity")) return null;
        var (groups, size, experts, k) = Sizes(c);
        var (expert, slot, capacity) = (c.Get("claim.expert").Values, new double[groups * size * k], (int)c.Get("claim.capacity").Values[0]);
        Array.Fill(slot, -1);
        if (pooled) (groups, size) = (1, groups * size);
        (groups, size) = (groups * ranks, size / ranks);
        for (var g = 0; g < groups; g++)
        {
            int[,] asked = new int[k, experts], kept = new int[k, experts];
            for (var j = 0; j < k; j++)
                for (var n = 0; n < size; n++)
                {
                    var i = (g * size + (reversed ? size - 1 - n : n)) * k + j;
                    if (expert[i] < 0) continue;
                    var e = (int)expert[i];
                    int before = 0, keptBefore = 0;
                    for (var b = 0; b < j; b++) (before, keptBefore) = (before + asked[b, e], keptBefore + kept[b, e]);
                    var at = place(asked[j, e]++, before, j > 0 ? asked[j - 1, e] : 0, keptBefore);
                    if (at >= capacity + more) continue;
                    slot[i] = at;
                    kept[j, e]++;
                }
        }
        return With(c, "claim.slot", _ => slot);
    }

    static Case? SmallestKept(Case c)
    {
        if (c.Dialect.DropPolicy != DropPolicy.Score || !c.Has("claim.expert") || !c.Has("claim.capacity")
            || c.Dialect.CapacityLimit == CapacityLimit.Unlimited) return null;
        var (groups, size, experts, k) = Sizes(c);
        var (expert, slot, scores) = (c.Get("claim.expert").Values, new double[groups * size * k], c.Get("claim.scores").Values);
        Array.Fill(slot, -1);
        for (var g = 0; g < groups; g++)
            for (var e = 0; e < experts; e++)
            {
                var asked = Enumerable.Range(g * size * k, size * k).Where(i => expert[i] == e).OrderBy(i => scores[i / k * experts + e]);
                int[] kept = [.. asked.Take((int)c.Get("claim.capacity").Values[0])];
                if (c.Dialect.SlotOrder != SlotOrder.Descending) Array.Sort(kept);
                for (var s = 0; s < kept.Length; s++) slot[kept[s]] = s;
            }
        return With(c, "claim.slot", _ => slot);
    }

    static Case? WorstFirst(Case c)
    {
        var d = c.Dialect.For(c.Training);
        if (!d.BatchPrioritized || d.Order != RequestOrder.ChoiceMajor || !c.Has("claim.expert") || !c.Has("claim.capacity")) return null;
        var (groups, size, experts, k) = Sizes(c);
        var (expert, slot, scores) = (c.Get("claim.expert").Values, new double[groups * size * k], c.Get("claim.scores").Values);
        Array.Fill(slot, -1);
        for (var g = 0; g < groups; g++)
        {
            var asked = new int[experts];
            int[] order = [.. Enumerable.Range(g * size, size).OrderBy(t => scores.Skip(t * experts).Take(experts).Max())];
            for (var j = 0; j < k; j++)
                foreach (var t in order)
                    if (expert[t * k + j] is >= 0 and var e && asked[(int)e]++ is var at && at < c.Get("claim.capacity").Values[0]) slot[t * k + j] = at;
        }
        return With(c, "claim.slot", _ => slot);
    }

    static Case? Smallest(Case c)
    {
        var d = c.Dialect;
        if (d.Selection != Selection.TopK || d.Groups > 1 || d.CorrectionBias || d.Policy != Policy.All || c.Has("padding") || d.Noise != LogitNoise.None
            || d.ForceBalance) return null;
        var (_, _, experts, k) = Sizes(c);
        var logits = c.Get("claim.logits").Values;
        return With(c, "claim.expert",
            _ => [.. logits.Chunk(experts).SelectMany(row => Enumerable.Range(0, experts).OrderBy(e => row[e]).Take(k).Select(e => (double)e))]);
    }

    static Case? CountsOfKept(Case c)
    {
        if (c.Find("claim.slot") is not { } slot || c.Find("claim.expert") is not { } expert) return null;
        var (_, size, experts, k) = Sizes(c);
        var counts = new double[c.Get("claim.count").Values.Length];
        for (var i = 0; i < slot.Values.Length; i++)
            if (slot.Values[i] >= 0) counts[i / k / size * experts + (int)expert.Values[i]]++;
        return With(c, "claim.count", _ => counts);
    }

    static double MeanOfZ(Case c, Func<double, double> of, bool all)
    {
        var rows = c.Get("claim.logits").Values.Chunk(Sizes(c).Experts).ToArray();
        double[] values = [.. rows.Where((_, t) => all || IsReal(c, t)).Select(row => of(row.Max() + Math.Log(row.Sum(v => Math.Exp(v - row.Max())))))];
        return values.Average();
    }

    static Case OtherVariance(Case c, string name)
    {
        double e = Sizes(c).Experts;
        return With(c, name, v => Each(v, l => c.Dialect.Variance == Variance.Unbiased ? l * (e - 1) / e : l * e / (e - 1)));
    }

    static Case? Proportional(Case c)
    {
        var d = c.Dialect;
        if (d.Selection == Selection.Quantile || d.BiasRate == 0 || d.BiasCentred || c.Has("router.previous_count")
            || c.Find("claim.expert") is not { } expert) return null;
        var counts = new double[Sizes(c).Experts];
        for (var i = 0; i < expert.Values.Length; i++)
            if (expert.Values[i] >= 0 && (IsReal(c, i / Sizes(c).K) || d.BiasTokens == BiasTokens.All)) counts[(int)expert.Values[i]]++;
        return With(c, "claim.correction_bias",
            _ => [.. counts.Select((n, e) => c.Get("router.correction_bias").Values[e] + d.BiasRate * (counts.Average() - n))]);
    }

    static CaseTensor Squared(CaseTensor t) => t with { Values = Each(t.Values, v => v * v) };

    /// <summary>The right call with the y that another call has.</summary>
    static Case? Output(Case right, Case other)
    {
        using var backend = Bounds();
        return CaseCheck.Run(other, backend).Stages.FirstOrDefault(s => s.Stage == "y")?.Numbers is { } y ? With(right, "claim.y", _ => y.Expected) : null;
    }

    static Case? IdentityIgnored(Case c)
    {
        if (c.Dialect.IdentityExperts == 0 || !c.Has("claim.gate")) return null;
        var (_, _, experts, k) = Sizes(c);
        CaseTensor expert = c.Get("claim.expert"), gate = c.Get("claim.gate"), x = c.Get("x");
        var width = x.Size(-1);
        double Lost(int i) =>
            Enumerable.Range(i / width * k, k).Where(j => expert.Values[j] >= experts - c.Dialect.IdentityExperts).Sum(j => gate.Values[j] * x.Values[i]);
        return With(c, "claim.y", v => [.. v.Select((y, i) => y - Lost(i))]);
    }

    /// <summary>x's gradient where the logits are given, so that nothing goes back through the router; of a call without losses.</summary>
    static Case? Detached(Case c)
    {
        if (!c.Has("router.weight") || c.Has("claim.loss.total") && c.Get("claim.loss.total").Values[0] != 0 || c.Dialect.Router != RouterForm.Linear
            || c.Has("router.bias")) return null;
        var given = Answered(c.Without("router.weight"));
        return given.Find("claim.grad.x") is { } own ? c.With(own) : null;
    }
}
