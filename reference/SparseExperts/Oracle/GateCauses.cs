using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// From gates that depart to what they are instead: other numbers gathered, another divisor, another place, something done twice or not at all.
/// </summary>
static class GateCauses
{
    public static FoundCauses Find(Case held, string stage, Departure of, Func<IBackend> backend)
    {
        if (stage == "shared_gate") return Stage.On(held, backend, call => FoundCauses.Among(of, Shared(call)));
        var isDense = stage == "combine";
        return Stage.On(held.Without("claim.combine", isDense ? "" : "claim.gate"), backend, call =>
        {
            (double[], double[]) Of(Tensor gates, RoutingPlan plan) =>
                Stage.Numbers(call, isDense ? Gates.Dense(call.Tape, gates, plan.Expert, call.Call.Experts) : gates);
            IEnumerable<FaultyNumbers> faults =
            [
                .. Numbers(call, isDense && held.Has("claim.gate")).Select(f => new FaultyNumbers(f.Cause, () => Of(f.Compute(), call.Routed.Plan))),
                .. held.Has("claim.slot") || held.Has("claim.token") ? [] : OfSlots(call, Of),
            ];
            return FoundCauses.Among(of, faults);
        });
    }

    /// <summary>Calls with such gates, or with other slots, where neither is claimed, for the output that is made from them.</summary>
    public static IEnumerable<FaultyCall> Before(Case held, Func<IBackend> backend)
    {
        if (held.Has("claim.combine") || held.Find("x") is not { } x) return [];
        List<FaultyCall> calls = [];
        Stage.On(held, backend, call =>
        {
            if (call.Choices.ByExperts) return FoundCauses.None;
            long[] shape = [x.Shape[0], x.Shape[1], call.Choices.K];
            if (!held.Has("claim.gate"))
                foreach (var fault in Numbers(call, areGiven: false))
                    calls.Add(new(fault.Cause, held.With(new CaseTensor("claim.gate", "F32", shape, call.Read(fault.Compute()).Values))));
            if (held.Has("claim.slot") || held.Has("claim.token") || call.Decided.Capacity == RoutingPlan.Unlimited) return FoundCauses.None;
            foreach (var rule in SlotRules.Of(call))
                calls.Add(new(rule.Cause, held.With(new CaseTensor("claim.slot", "I32", shape, Array.ConvertAll(rule.Assign(), s => (double)s)))));
            return FoundCauses.None;
        });
        return calls;
    }

    /// <summary>Gates of a plan with other slots, where nothing else shows who was dropped.</summary>
    static IEnumerable<FaultyNumbers> OfSlots(ClaimedCall call, Func<Tensor, RoutingPlan, (double[], double[])> read)
    {
        if (call.Decided.Capacity == RoutingPlan.Unlimited || call.Choices.ByExperts || call.Choices.Expert.Length == 0) yield break;
        foreach (var rule in SlotRules.Of(call))
            yield return new(rule.Cause, () =>
            {
                var plan = call.Claims.PlanOf(call.Choices, rule.Assign(), call.Decided.Capacity);
                return read(Gates.AfterDrop(call.Tape, call.Call, BeforeDrop(call), plan, call.Routed.Weights), plan);
            });
    }

    static Tensor BeforeDrop(ClaimedCall c) => Gates.BeforeDrop(c.Tape, c.Call, c.Routed.Scored.Noisy, c.Scores, c.Choices, c.Decided.Numbers.CorrectionBias,
        c.Routed.Scored.SharedScores);

    sealed record Fault(Cause Cause, Func<Tensor> Compute);

    /// <param name="areGiven">The gates themselves are claimed and right: only what was made of them is looked for.</param>
    static IEnumerable<Fault> Numbers(ClaimedCall c, bool areGiven)
    {
        var (tape, d, k) = (c.Tape, c.Call.Dialect, c.Choices.K);
        var own = areGiven ? c.Routed.Effective.Gates : c.Routed.Gates;
        Fault New(string value, string sentence, Func<Tensor> compute, string? axis = null) => new(new("gates", value, sentence) { Axis = axis }, compute);
        yield return New("applied twice", "the gates were applied twice: they are the squares of what they should be", () => tape.Multiply(own, own));
        yield return New("root", "the gates are the roots of what they should be", () => tape.Activate(Activation.Sqrt, own));
        yield return New("one", "the gates are 1: the router only chooses", () => Each(c, own, (_, v) => v == 0 ? 0 : 1), "gate");
        if (k > 1) yield return New("1 / k", "the gates are 1 / k: the experts are averaged", () => Each(c, own, (_, v) => v == 0 ? 0 : 1.0 / k), "gate");
        if (k > 1)
        {
            int At(int i, Func<int, int> choice) => i / k * k + choice(i % k);
            Tensor Moved(Func<int, int> choice) => tape.GatherElements(own, [.. Enumerable.Range(0, own.Rows * k).Select(i => At(i, choice))], own.Rows, k);
            yield return New("reversed", "the gates stand in the reverse order of the experts", () => Moved(j => k - 1 - j));
            if (k > 2) yield return New("rotated", "each gate belongs to the choice before it", () => Moved(j => (j + 1) % k));
            if (k > 2) yield return New("rotated back", "each gate belongs to the choice after it", () => Moved(j => (j + k - 1) % k));
            yield return New("of the first choice", "every choice has the gate of the first", () => Moved(_ => 0));
            yield return New("sorted", "the gates are sorted, the experts are not", () => Sorted(c, own, k, descending: true));
            yield return New("sorted ascending", "the gates are sorted from small to large, the experts are not", () => Sorted(c, own, k, descending: false));
            yield return New("first choice alone", "only the first choice has a gate", () => Each(c, own, (j, v) => j == 0 ? v : 0));
            yield return New("last choice lost", "the last choice has no gate", () => Each(c, own, (j, v) => j == k - 1 ? 0 : v));
            Tensor Over(Tensor divisor) => tape.Divide(own, tape.RepeatColumn(divisor, k));
            if (!c.Read(own).Values.Chunk(k).Any(row => row.All(v => v == 0)))
            {
                yield return New("over the largest", "the gates were divided by the largest", () => Over(Largest(c, own)));
                yield return New("over their norm", "the gates were divided by the root of the sum of their squares",
                    () => Over(tape.Activate(Activation.Sqrt, tape.SumRows(tape.Multiply(own, own)))));
            }
            yield return New("softmax of the gates", "a softmax was taken of the gates: a second one", () => tape.Softmax(own));
            yield return New("mean of the choices", "every choice has the mean of the token's gates",
                () => tape.Scale(tape.RepeatColumn(tape.SumRows(own), k), 1.0 / k));
        }
        yield return New("one minus", "the gates are 1 minus what they should be", () => tape.Shift(tape.Scale(own, -1), 1));
        if (areGiven) yield break;
        foreach (var fault in OfSources(c)) yield return fault;
        if (c.Call.Dialect.ExpertScale)
        {
            yield return New("without expert_scale", "the scale of each expert is not in the gates",
                () => Finish(c, BeforeDrop(c), d with { ExpertScale = false }));
            yield return New("expert_scale twice", "the scale of each expert was applied twice",
                () => Finish(c, Finish(c, BeforeDrop(c), d with { ScalingFactor = 1, GlobalScale = false }), d));
        }
        if (c.Call.Dialect.GlobalScale)
            yield return New("without global_scale", "the learned factor on all gates is missing",
                () => Finish(c, BeforeDrop(c), d with { GlobalScale = false }));
        if (c.Routed.Plan.RowOf.Contains(RoutingPlan.Dropped))
            yield return New("of dropped choices too",
                d.NullExperts > 0 ? "choices of null experts kept their scores as gates" : "choices that were dropped kept their gates",
                () => Gates.Finished(tape, c.Call, BeforeDrop(c), c.Routed.Weights, c.Routed.Plan));
    }

    /// <summary>Other numbers gathered, with and without the dialect's divisor.</summary>
    static IEnumerable<Fault> OfSources(ClaimedCall c)
    {
        var (tape, d, k, e) = (c.Tape, c.Call.Dialect, c.Choices.K, c.Call.Experts);
        var (logits, scores) = (c.Routed.Scored.Noisy, c.Scores);
        Fault New(string value, string sentence, Func<Tensor> compute, string? axis = null) => new(new("gates", value, sentence) { Axis = axis }, compute);
        Tensor Gathered(Tensor from, Func<int, int>? of = null) =>
            Gates.Gather(tape, c.Call, from, [.. c.Choices.Candidate.Select(x => x < 0 || of is null ? x : of(x))], k);
        Tensor Over(Tensor gates, Tensor divisor) => tape.Divide(gates, tape.RepeatColumn(divisor, k));
        Tensor Own(Tensor raw) => Finish(c, Gates.Divided(tape, c.Call, raw, k, c.Routed.Scored.SharedScores), d);
        (string Value, string Words, Func<Tensor> Of)[] sources =
        [
            ("raw logits", "the raw logits", () => Gathered(logits)),
            .. c.Call.IsNoisy ? [("clean logits", "the raw logits, without their noise", () => Gathered(c.Logits))]
                : Array.Empty<(string, string, Func<Tensor>)>(),
            ("sigmoid of the logits", "the sigmoids of the logits", () => Gathered(tape.Activate(Activation.Sigmoid, logits))),
            ("softmax over all", "the softmax of the logits over all experts", () => Gathered(tape.Softmax(logits))),
            ("softmax over the chosen", "the softmax over the chosen experts' logits alone", () => tape.Softmax(Gathered(logits))),
            ("softmax of the scores", "the softmax over the chosen experts' scores: a second softmax", () => tape.Softmax(Gathered(scores))),
            ("exponentials", "the exponentials of the logits", () => tape.Activate(Activation.Exp, Gathered(logits))),
            ("of the expert after", "the scores of the expert after each", () => Gathered(scores, x => (x + 1) % e)),
            ("of the expert before", "the scores of the expert before each", () => Gathered(scores, x => (x + e - 1) % e)),
            ("of expert j", "the scores of experts 0, 1, …: they were gathered by the place of the choice and not by its expert",
                () => Gates.Gather(tape, c.Call, scores, [.. Enumerable.Range(0, c.Call.Tokens * k).Select(i => i % k)], k)),
        ];
        var isDivided = d.Normalize is not (Normalize.None or Normalize.AfterDrop);
        foreach (var (value, words, source) in sources)
        {
            // Divided by their sum, softmax over all, over the chosen, and exponentials are the same.
            if (isDivided && value is "softmax over the chosen" or "exponentials") continue;
            yield return New(value, $"the gates are {words}", () => Own(source()), value is "sigmoid of the logits" or "softmax over all" ? "gate" : null);
            if (d.ScalingFactor != 1) yield return New($"{value}, not scaled", $"the gates are {words}, not scaled",
                () => Finish(c, source(), d with { ScalingFactor = 1 }));
            if (!isDivided) yield return New($"{value}, divided", $"the gates are {words} over their sum",
                () => Finish(c, Over(source(), tape.SumRows(source())), d));
            if (d.Normalize != Normalize.None)
                yield return New($"{value}, not divided", $"the gates are {words}, not divided by their sum",
                    () => Finish(c, source(), d with { Normalize = Normalize.None }));
        }
        Tensor raw() => Gathered(scores);
        yield return New("over the sum of all", "the gates were divided by the scores' sum over all experts and not over the chosen ones",
            () => Finish(c, Over(raw(), tape.SumRows(scores)), d));
        yield return New("over the largest", "the gates were divided by the largest", () => Finish(c, Over(raw(), Largest(c, raw())), d));
        yield return New("over k", "the gates were divided by the number of choices", () => Finish(c, tape.Scale(raw(), 1.0 / k), d), "gate");
        if (d.CorrectionBias && c.Decided.Numbers.CorrectionBias is { Length: > 0 } bias)
        {
            Tensor biased() => tape.Shift(scores, [.. Enumerable.Range(0, c.Call.Tokens * e).Select(i => (float)bias[i % e])]);
            yield return New("of biased scores", "the gates hold the correction bias, which is for selection alone", () => Own(Gathered(biased())), "gate");
            yield return New("over biased scores", "the gates were divided by the sum of the biased scores",
                () => Finish(c, Over(raw(), tape.SumRows(Gathered(biased()))), d));
        }
        foreach (var guard in (double[])[1e-20, 1e-12, 1e-9, 1e-8, 1e-6, 1e-5, 1e-3])
            if (d.NormalizeEpsilon != guard)
                yield return New($"guard {guard:R}", FormattableString.Invariant($"the divisor of the gates is guarded with {guard:R}"),
                    () => Finish(c, Over(raw(), tape.Shift(tape.SumRows(raw()), guard)), d), "normalize_epsilon");
    }

    /// <summary>Dropped, divided late and scaled as a dialect says.</summary>
    static Tensor Finish(ClaimedCall c, Tensor gates, Dialect d) =>
        Gates.AfterDrop(c.Tape, c.Call with { Dialect = d }, gates, c.Routed.Plan, c.Routed.Weights);

    static Tensor Largest(ClaimedCall c, Tensor gates)
    {
        var rows = c.Read(gates).Values.Chunk(gates.Columns).ToArray();
        int[] best = [.. rows.Select((row, t) => t * gates.Columns + Array.IndexOf(row, row.Max()))];
        return c.Tape.GatherElements(gates, best, gates.Rows, 1);
    }

    static Tensor Sorted(ClaimedCall c, Tensor gates, int k, bool descending)
    {
        var values = c.Read(gates).Values;
        IEnumerable<int> Row(int t) => Enumerable.Range(t * k, k).OrderBy(i => descending ? -values[i] : values[i]);
        return c.Tape.GatherElements(gates, [.. Enumerable.Range(0, gates.Rows).SelectMany(Row)], gates.Rows, k);
    }

    /// <summary>Each gate by its choice and its value, where that loses nothing.</summary>
    static Tensor Each(ClaimedCall c, Tensor gates, Func<int, double, double> of)
    {
        var values = c.Read(gates).Values;
        return c.Tape.Constant(c.Tape.Written(gates.Rows, gates.Columns, [.. values.Select((v, i) => of(i % gates.Columns, v))]));
    }

    /// <summary>Gates of shared experts that take part in the normalisation, or are choices more.</summary>
    static IEnumerable<FaultyNumbers> Shared(ClaimedCall c)
    {
        if (c.Routed.SharedGates is not { } own) yield break;
        if (c.Call.Dialect is { SharedChoices: > 0 } d)
        {
            FaultyNumbers Choice(string value, string sentence, Func<int, double, double> of) =>
                new(new("shared expert's gate", value, sentence), () => Stage.Numbers(c, Each(c, own, of)));
            var factor = d.ScalingFactor;
            yield return Choice("one", "the gate of the shared expert is 1: it is no choice", (_, _) => 1);
            yield return Choice("applied twice", "the gate of the shared expert is the square of what it should be", (_, v) => v * v);
            if (d.SharedChoices > 1) yield return Choice("once", "only the last shared expert has a gate", (n, v) => n == d.SharedChoices - 1 ? v : 0);
            if (factor == 1) yield break;
            yield return Choice("not scaled", "the gate of the shared expert is not multiplied by scaling_factor", (_, v) => v / factor);
            yield return Choice("not over the factor", "the gate of the shared expert is the sum of the chosen, not over scaling_factor", (_, v) => v * factor);
            yield break;
        }
        if (c.Routed.Scored is not { SharedLogits: { } logits, SharedScores: { } scores }) yield break;
        FaultyNumbers New(string value, string sentence, Func<Tensor> compute) =>
            new(new("shared experts' gates", value, sentence), () => Stage.Numbers(c, compute()));
        yield return New("one", "the gates of the shared experts are 1: their rows of the router are ignored", () => Each(c, own, (_, _) => 1));
        yield return New("raw logits", "the gates of the shared experts are their raw logits", () => logits);
        yield return New("not divided", "the gates of the shared experts are their scores, not divided with the others", () => scores);
        yield return New("over their own sum", "the gates of the shared experts were divided by their own sum alone",
            () => c.Tape.Divide(scores, c.Tape.RepeatColumn(c.Tape.SumRows(scores), scores.Columns)));
        yield return New("applied twice", "the gates of the shared experts are the squares of what they should be", () => c.Tape.Multiply(own, own));
    }
}
