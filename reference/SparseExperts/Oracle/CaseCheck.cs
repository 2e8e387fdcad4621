using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Recomputes every claim of a case from the inputs and from the claims before it, so that the first stage that departs is the culprit.
/// Integers must be equal; floats must lie within the error that the same operations would make in float32, twice, plus half a unit of the
/// format that the claim is kept in.
/// </summary>
public sealed class CaseCheck
{
    readonly Case _case;
    readonly IBackend _backend;
    readonly RouterCall _call;
    readonly List<StageVerdict> _stages = [];

    CaseCheck(Case @case, IBackend backend) => (_case, _backend, _call) = (@case, backend, Call(@case));

    /// <param name="backend">A backend whose numbers carry error bounds.</param>
    /// <exception cref="CaseException">The file lacks something, or its shapes do not fit.</exception>
    /// <exception cref="RoutingException">The dialect cannot run on it.</exception>
    public static Verdict Run(Case @case, IBackend backend)
    {
        if (backend is not IErrorBounds) throw new ArgumentException($"'{backend.Info.Name}' carries no error bounds; check on one that does", nameof(backend));
        return new CaseCheck(@case, backend).Run();
    }

    /// <summary>Refuses a small file that asks for a large computation, as no recorded call does: a thin matrix of a million experts, say.</summary>
    static void Affordable(Case c, long tokens, int experts, int k)
    {
        var room = 64 * c.Tensors.Sum(t => t.Values.LongLength) + (1 << 20);
        var hidden = c.Find("experts.wi")?.Size(-2) ?? 0;
        if ((Int128)tokens * experts > room || (Int128)tokens * k * hidden > room || (Int128)tokens * (c.Find("shared.wi")?.Size(-2) ?? 0) > room)
            throw new CaseException($"{c.Path}: {tokens} tokens × {experts} experts of width {hidden} are far more numbers than the file holds; record the call with its logits");
    }

    /// <summary>What the file says about the call, besides its tensors.</summary>
    public static RouterCall Call(Case c)
    {
        var shape = c.Find("x")?.Shape ?? c.Get("claim.logits").Shape;
        int groups = (int)shape[0], size = (int)shape[1];
        if ((long)groups * size > int.MaxValue) throw new CaseException($"{c.Path}: {groups} groups of {size} tokens are more than {int.MaxValue} tokens; split the call");
        var d = c.Dialect.Settled;
        var experts = c.Find("router.weight")?.Size(0) ?? c.Find("claim.logits")?.Size(-1)
            ?? (c.Find("experts.wi") is { } wi ? wi.Size(0) + d.IdentityExperts : c.Find("router.slots")?.Size(0) ?? c.Get("claim.combine").Size(-1));
        DialectRules.Check(d, experts);
        Affordable(c, groups * (long)size, experts, Math.Min(d.K, experts));
        float[]? Draws(string name) => c.Find($"draws.{name}")?.Floats;
        return new()
        {
            Dialect = d,
            Groups = groups,
            Size = size,
            Experts = experts,
            Training = c.Training,
            Importance = c.Find("padding")?.Floats ?? [],
            TokenIds = c.Find("token_ids")?.Integers ?? [],
            TaskIds = c.Find("task_ids")?.Integers ?? [],
            Table = c.Find("router.table")?.Integers ?? [],
            Format = c.Find("x")?.Format ?? NumberFormat.Float32,
            ScoreFormat = (c.Find("claim.scores") ?? (d.Score == Score.SoftmaxPost ? null : c.Find("claim.gate") ?? c.Find("claim.combine")))?.Format ?? NumberFormat.Float32,
            LogitsFormat = c.Find("claim.logits")?.Format ?? NumberFormat.Float32,
            Where = Path.GetFileName(c.Path),
            Draws = new()
            {
                Jitter = Draws("jitter"),
                InputDropout = Draws("input_dropout"),
                Sample = Draws("sample"),
                Noise = Draws("noise"),
                Gumbel = Draws("gumbel"),
                UniformGumbel = Draws("uniform_gumbel"),
                Second = Draws("second"),
                Policy = Draws("policy"),
                SecondPlace = Draws("second_place"),
                SecondPlaceSample = Draws("second_place_sample"),
                Rts = Draws("rts"),
                PrimaryNoise = Draws("primary_noise"),
                SecondaryNoise = Draws("secondary_noise"),
            },
        };
    }

    Verdict Run()
    {
        var tape = new Tape(_backend);
        var tensors = new CaseTensors(_case, tape, _call);
        var d = _call.Dialect;
        if (d.Selection == Selection.SlotMixture) SoftStages(tape, tensors);
        else if (d.Selection == Selection.TwoLevel) TwoLevelStages(tape, tensors);
        else Stages(tape, tensors);
        return new([.. _stages.Select(Located)]);
    }

    /// <summary>The index of a difference as group, token, choice, expert, slot, by the shape of the claim.</summary>
    StageVerdict Located(StageVerdict stage)
    {
        if (stage.First is not { } first || _case.Find($"claim.{stage.Stage}") is not { } claim) return stage;
        int last = claim.Size(-1), before = claim.Size(-2);
        var located = stage.Stage switch
        {
            "expert" or "slot" or "gate" => first with { Group = first.Index / last / _call.Size, Token = first.Index / last % _call.Size, Choice = first.Index % last, Expert = ExpertAt(first.Index, stage.Stage) },
            "logits" or "scores" or "combine" => first with { Group = first.Index / last / _call.Size, Token = first.Index / last % _call.Size, Expert = first.Index % last },
            "token" => first with { Group = first.Index / last / before, Expert = first.Index / last % before, Slot = first.Index % last },
            "count" => first with { Group = first.Index / last, Expert = first.Index % last },
            "y" or "grad.x" => first with { Group = first.Index / last / _call.Size, Token = first.Index / last % _call.Size },
            "correction_bias" => first with { Expert = first.Index },
            "slot_dispatch" or "slot_combine" => first with { Token = first.Index / last / before % _call.Size, Expert = first.Index / last % before, Slot = first.Index % last },
            "grad.router.weight" or "grad.router.noise_weight" => first with { Expert = first.Index / last },
            _ when stage.Stage.StartsWith("grad.experts.", StringComparison.Ordinal) => first with { Expert = first.Index / last / (claim.Shape.Length > 2 ? before : 1) },
            _ => first,
        };
        return stage with { First = located };
    }

    int? ExpertAt(int index, string stage) => stage == "expert" ? null : _case.Find("claim.expert") is { } expert && index < expert.Values.Length && expert.Values[index] >= 0 ? (int)expert.Values[index] : null;

    void Stages(Tape tape, CaseTensors tensors)
    {
        // Logits and scores.
        var hasRouter = tensors.Router.Weight is not null || _call.Dialect.Router == RouterForm.None;
        var input = RouterLogits.Input(tape, _call, tensors.X);
        Tensor logits;
        if (hasRouter)
        {
            logits = RouterLogits.Compute(tape, _call, input, tensors.Router);
            Compare("logits", tape, logits, used: i => _call.Dialect.PaddingLogits != PaddingLogits.Zeroed || _call.IsReal(i / _call.Experts));
        }
        else logits = Claimed(tape, "claim.logits", _call.Experts) ?? throw new CaseException($"{_case.Path}: neither router.weight nor claim.logits; give one of them");
        logits = ClaimedLogits(tape, logits);
        var noisy = RouterScores.Noisy(tape, _call, logits, input, tensors.Router, out var deviation);
        var scores = RouterScores.Compute(tape, _call, noisy);
        Compare("scores", tape, scores);
        if (_call.Dialect.Score is not (Score.SoftmaxPost or Score.None)) scores = Claimed(tape, "claim.scores", _call.Experts) ?? scores;
        var numbers = SparseLayer.Read(tape, _call, logits, noisy, scores, tensors.Router);

        // Selection, capacity, slots: integers.
        var expected = Selector.Select(_call, numbers, () => ClaimedCapacity() ?? CapacityRule.Capacity(_call, default));
        var choices = ClaimedChoices(expected);
        var loads = CapacityRule.Loads(_call, choices, numbers);
        if (_case.Find("claim.capacity") is { } capacityClaim)
            Whole("capacity", [(int)capacityClaim.Values[0]], [CapacityRule.Reported(_call, loads)]);
        if (_case.Has("claim.expert") && expected.ByExperts) throw new CaseException($"{_case.Path}: claim.expert says what tokens chose, but in {_call.Dialect.Name} experts choose; claim token and combine instead");
        if (_case.Find("claim.expert") is { } expertClaim)
            _stages.Add(SelectionCheck.Experts(_call, numbers, expected, expertClaim.Integers, expertClaim.Size(-1)));
        var capacity = ClaimedCapacity() ?? CapacityRule.Capacity(_call, loads);
        var gates = Gates.BeforeDrop(tape, _call, noisy, scores, choices, tensors.Router.CorrectionBias);
        var priority = SparseLayer.Numbers(tape, gates);
        var plan = Slots.Assign(_call, choices, capacity, numbers, priority.Values);
        if (_case.Find("claim.token") is { } tokenSlots && !expected.ByExperts)
        {
            Whole("token", tokenSlots.Integers, TokensInSlots(plan, tokenSlots.Size(-1)));
            plan = Planned(choices, SlotsOfTokens(choices, tokenSlots), capacity);
        }
        if (_case.Find("claim.slot") is { } slotClaim)
        {
            _stages.Add(SlotCheck.Run(_call, choices, numbers, priority, plan, slotClaim.Integers, capacity));
            plan = Planned(choices, slotClaim.Integers, capacity);
        }

        if (DropsAreOpen(priority, choices, capacity) && _case.Find("claim.combine") is { } kept) plan = PlanOfKept(choices, plan, kept.Values, priority, capacity);

        // Gates.
        gates = Gates.AfterDrop(tape, _call, gates, plan);
        Compare("gate", tape, gates, used: i => choices.Expert[i] >= 0);
        if (_case.Find("claim.token") is { } tokenClaim && expected.ByExperts) _stages.Add(SelectionCheck.Tokens(_call, expected, tokenClaim.Integers));
        var routed = plan;
        (gates, plan) = Experts.Effective(tape, _call, gates, plan);
        var dense = Gates.Dense(tape, gates, plan.Expert, _call.Experts);
        Compare("combine", tape, dense, open: DropsAreOpen(priority, choices, capacity));
        if (_case.Find("claim.count") is { } countClaim) Whole("count", countClaim.Integers, Counts(plan, choices, capacity));
        gates = ClaimedGates(tape, gates, plan) ?? gates;

        // Output and losses.
        if (tensors.Experts is { } experts)
            Compare("y", tape, Experts.Apply(tape, _call, SparseLayer.ExpertInput(_call, tensors.X, input), experts, gates, plan));
        var inputs = new LossInputs { Logits = logits, Noisy = noisy, Scores = scores, Deviation = deviation, Numbers = numbers, Choices = choices, Plan = routed, Gates = gates, Weights = tensors.Router };
        CompareLosses(tape, AuxiliaryLosses.Compute(tape, _call, inputs), SelectionCheck.HasOpenTopK(_call, numbers));
        if (_case.Find("claim.correction_bias") is { } biasClaim)
        {
            var before = tensors.Router.CorrectionBias;
            double[] roundings = [.. before.Select(b => 4 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(b) + 2 * _call.Dialect.BiasRate))];
            Floats("correction_bias", biasClaim, CorrectionBias.Step(_call.Dialect, Counts(plan, choices, capacity, realOnly: true), before), roundings);
        }
        if (_case.Tensors.Any(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal))) Gradients(choices, routed, numbers);
    }

    /// <summary>The whole layer from x with the claimed integers held fixed, forward and back.</summary>
    void Gradients(Choices choices, RoutingPlan plan, RouterNumbers numbers)
    {
        var tape = new Tape(_backend);
        var tensors = new CaseTensors(_case, tape, _call);
        var input = RouterLogits.Input(tape, _call, tensors.X);
        var logits = RouterLogits.Compute(tape, _call, input, tensors.Router);
        var noisy = RouterScores.Noisy(tape, _call, logits, input, tensors.Router, out var deviation);
        var scores = RouterScores.Compute(tape, _call, noisy);
        var gates = Gates.AfterDrop(tape, _call, Gates.BeforeDrop(tape, _call, noisy, scores, choices, tensors.Router.CorrectionBias), plan);
        var (effective, effectivePlan) = Experts.Effective(tape, _call, gates, plan);
        var y = tensors.Experts is { } experts ? Experts.Apply(tape, _call, SparseLayer.ExpertInput(_call, tensors.X, input), experts, effective, effectivePlan) : null;
        var inputs = new LossInputs { Logits = logits, Noisy = noisy, Scores = scores, Deviation = deviation, Numbers = numbers, Choices = choices, Plan = plan, Gates = gates, Weights = tensors.Router };
        Backward(tape, tensors, y, AuxiliaryLosses.Total(tape, _call, AuxiliaryLosses.Compute(tape, _call, inputs)), SelectionCheck.HasOpenTopK(_call, numbers));
    }

    void SoftStages(Tape tape, CaseTensors tensors)
    {
        int columns = RouterLogits.Needed(_call, tensors.Router.Slots, "router.slots").Columns, slots = columns / _call.Experts;
        if (_case.Find("claim.capacity") is { } capacity) Whole("capacity", [(int)capacity.Values[0]], [SoftLayer.SlotsPerExpert(_call)]);
        var logits = SoftLayer.Logits(tape, _call, tensors.X, tensors.Router);
        Tensor dispatch = SoftLayer.OverTokens(tape, _call, logits), combine = tape.Softmax(logits);
        Compare("slot_dispatch", tape, dispatch);
        Compare("slot_combine", tape, combine);
        var y = SoftLayer.Mix(tape, _call, tensors.X, Claimed(tape, "claim.slot_dispatch", columns) ?? dispatch, Claimed(tape, "claim.slot_combine", columns) ?? combine, tensors.Experts ?? throw new CaseException($"{_case.Path}: no experts; a mixture of slots is checked with them, add experts.wi and experts.wo"), slots);
        Compare("y", tape, y);
        if (!_case.Tensors.Any(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal))) return;
        var second = new Tape(_backend);
        var again = new CaseTensors(_case, second, _call);
        Backward(second, again, SoftLayer.Forward(second, _call, again.X, again.Router, again.Experts!).Output, null, false);
    }

    void TwoLevelStages(Tape tape, CaseTensors tensors)
    {
        var routed = TwoLevelRouter.Route(tape, _call, tensors.X, tensors.Router);
        Compare("combine", tape, Gates.Dense(tape, routed.Gates, routed.Plan.Expert, _call.Experts));
        var plan = routed.Plan;
        var gates = Claimed(tape, "claim.combine", _call.Experts) is { } claimed ? Gates.Gather(tape, _call, claimed, plan.Expert, plan.Choices) : routed.Gates;
        if (tensors.Experts is { } experts) Compare("y", tape, Experts.Apply(tape, _call, tensors.X, experts, gates, plan));
        CompareLosses(tape, routed.Losses, false);
        if (!_case.Tensors.Any(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal))) return;
        var second = new Tape(_backend);
        var again = new CaseTensors(_case, second, _call);
        var result = TwoLevelRouter.Route(second, _call, again.X, again.Router);
        var y = again.Experts is { } held ? Experts.Apply(second, _call, again.X, held, result.Gates, result.Plan) : null;
        Backward(second, again, y, AuxiliaryLosses.Total(second, _call, result.Losses), false);
    }

    void Backward(Tape tape, CaseTensors tensors, Tensor? y, Tensor? total, bool open)
    {
        var seeds = new List<(Tensor, Matrix)>();
        if (y is not null && _case.Find("cotangent.y") is { } cotangent) seeds.Add((y, Written(tape, y.Rows, y.Columns, cotangent.Values)));
        if (total is { RequiresGradient: true }) seeds.Add((total, Written(tape, 1, 1, _case.Find("cotangent.losses")?.Values ?? [1.0])));
        tape.Backward([.. seeds]);
        foreach (var claim in _case.Tensors.Where(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal)))
        {
            var (values, errors) = tensors.Gradient(claim.Name["claim.grad.".Length..]) ?? throw new CaseException($"{_case.Path}: {claim.Name} is the gradient of nothing in the file; add the input or remove the claim");
            Floats(claim.Name["claim.".Length..], claim, values, errors, open);
        }
    }

    // Claims as inputs of the stages after them.

    int? ClaimedCapacity() => _case.Find("claim.capacity") is { } claim
        ? _call.Dialect.CapacityLimit == CapacityLimit.Unlimited && claim.Values[0] > _call.Size || _call.Dialect.CapacityFormula == CapacityFormula.None ? RoutingPlan.Unlimited : (int)Math.Clamp(claim.Values[0], 0, int.MaxValue)
        : null;

    /// <summary>
    /// The claimed logits; where padding's become 0 for the z-loss alone, a producer may have kept them before or after, and the recomputed ones
    /// stand there.
    /// </summary>
    Tensor ClaimedLogits(Tape tape, Tensor recomputed)
    {
        if (Claimed(tape, "claim.logits", _call.Experts) is not { } claimed) return recomputed;
        if (_call.Dialect.PaddingLogits != PaddingLogits.Zeroed || _call.Importance.Length == 0) return claimed;
        var (values, errors) = (SparseLayer.Numbers(tape, claimed).Values.ToArray(), new double[claimed.Value.Count]);
        var own = SparseLayer.Numbers(tape, recomputed);
        for (var i = 0; i < values.Length; i++)
            if (!_call.IsReal(i / _call.Experts)) (values[i], errors[i]) = (own.Values[i], own.Errors[i]);
        var matrix = tape.Rent(_call.Tokens, _call.Experts);
        ((IErrorBounds)tape.Backend).WriteErrors(matrix, values, errors);
        return tape.Constant(matrix);
    }

    Choices ClaimedChoices(Choices expected)
    {
        if (_case.Find("claim.expert") is { } claim)
        {
            var k = claim.Size(-1);
            // Where exactly two choices are defined there is nothing to hold another number of them to.
            if (k != expected.K && (_call.Dialect.Selection is Selection.ExhaustionAware or Selection.SparseMixer || _call.Dialect.Combination == Combination.MaskReadAsIndices))
                throw new CaseException($"{_case.Path}: claim.expert has {k} choices a token, {_call.Dialect.Name} makes {expected.K}; correct its shape");
            var expert = Checked("claim.expert", claim.Integers, _call.Experts, _call.Tokens * k);
            int[] candidate = [.. expert.Select((e, i) => e >= 0 || k != expected.K ? e : expected.Candidate[i])];
            // A column that a policy took away is filled with the expected expert that the claim, which may settle ties otherwise, has not taken.
            for (var i = 0; i < candidate.Length && k == expected.K; i++)
            {
                var row = i / k * k;
                if (expert[i] >= 0 || !candidate.AsSpan(row, i - row).Contains(candidate[i]) || expected.IsRepeated(_call, i)) continue;
                candidate[i] = expected.Candidate.AsSpan(row, k).ToArray().FirstOrDefault(e => !expert.AsSpan(row, k).Contains(e), candidate[i]);
            }
            if (_call.Dialect.DroppedOutput == DroppedOutput.SharedSlot) expert = [.. expert.Select((e, i) => _call.IsReal(i / k) ? e : -1)];
            return expected with { K = k, Expert = expert, Candidate = candidate, Slot = [], Token = [] };
        }
        if (_case.Find("claim.token") is { } tokens && expected.ByExperts)
            return Choices.FromTokens(Checked("claim.token", tokens.Integers, _call.Size, _call.Groups * _call.Experts * tokens.Size(-1)), _call.Groups, _call.Size, _call.Experts, expected.Rankings);
        return expected;
    }

    int[] Checked(string name, int[] values, int below, int count)
    {
        if (values.Length != count) throw new CaseException($"{_case.Path}: {name} has {values.Length} numbers, {count} are needed; correct its shape");
        if (values.FirstOrDefault(v => v < -1 || v >= below, -1) is not -1 and var bad) throw new CaseException($"{_case.Path}: {name} holds {bad}, outside −1 … {below - 1}; correct it");
        return values;
    }

    RoutingPlan Planned(Choices choices, int[] slot, int capacity)
    {
        if (slot.Length != choices.Expert.Length) throw new CaseException($"{_case.Path}: claim.slot has {slot.Length} numbers, {choices.Expert.Length} are needed; correct its shape");
        if (slot.FirstOrDefault(s => s < -1 || s > _call.Tokens * (long)choices.K, -1) is not -1 and var bad) throw new CaseException($"{_case.Path}: claim.slot holds {bad}, outside −1 … {_call.Tokens * choices.K}; correct it");
        int[] usable = [.. slot.Select((s, i) => choices.Expert[i] < 0 ? RoutingPlan.Dropped : s)];
        return new(_call.Experts, _call.Groups, choices.K, capacity, choices.Expert, usable);
    }

    /// <summary>
    /// Where equals compete for the last slot, the claim says who has it: the choices whose dense gate is not 0, if each expert keeps as many as it must.
    /// </summary>
    RoutingPlan PlanOfKept(Choices choices, RoutingPlan own, double[] dense, Numbers priority, int capacity)
    {
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        int[] taken = new int[_call.Groups * _call.Experts], wanted = new int[taken.Length];
        for (var i = 0; i < slot.Length; i++)
        {
            if (choices.Expert[i] < 0) continue;
            var at = i / choices.K / _call.Size * _call.Experts + choices.Expert[i];
            var keeps = priority.Values[i] == 0 ? own.RowOf[i] >= 0 : dense[i / choices.K * _call.Experts + choices.Expert[i]] != 0;
            if (keeps) slot[i] = taken[at]++;
            if (own.RowOf[i] >= 0) wanted[at]++;
        }
        return taken.AsSpan().SequenceEqual(wanted) ? new(_call.Experts, _call.Groups, choices.K, capacity, choices.Expert, slot) : own;
    }

    /// <summary>Tokens [G, E, C] of a plan whose tokens chose.</summary>
    int[] TokensInSlots(RoutingPlan plan, int slots)
    {
        var tokens = new int[_call.Groups * _call.Experts * slots];
        Array.Fill(tokens, -1);
        for (var i = 0; i < plan.Slot.Length; i++)
            if (plan.Slot[i] >= 0 && plan.Slot[i] < slots) tokens[(i / plan.Choices / _call.Size * _call.Experts + plan.Expert[i]) * slots + plan.Slot[i]] = i / plan.Choices % _call.Size;
        return tokens;
    }

    /// <summary>Slots [T·K] from claimed tokens in slots.</summary>
    int[] SlotsOfTokens(Choices choices, CaseTensor claim)
    {
        var slots = claim.Size(-1);
        var tokens = Checked("claim.token", claim.Integers, _call.Size, _call.Groups * _call.Experts * slots);
        var slot = new int[choices.Expert.Length];
        Array.Fill(slot, RoutingPlan.Dropped);
        for (var i = 0; i < tokens.Length; i++)
            for (var j = 0; j < choices.K && tokens[i] >= 0; j++)
            {
                var at = (i / (_call.Experts * slots) * _call.Size + tokens[i]) * choices.K + j;
                if (choices.Expert[at] == i / slots % _call.Experts) slot[at] = i % slots;
            }
        return slot;
    }

    Tensor? ClaimedGates(Tape tape, Tensor gates, RoutingPlan plan)
    {
        if (_case.Find("claim.gate") is { } claim && claim.Values.Length == gates.Value.Count) return tape.Constant(Written(tape, gates.Rows, gates.Columns, claim.Values));
        return Claimed(tape, "claim.combine", _call.Experts) is { } dense ? Gates.Gather(tape, _call, dense, plan.Expert, plan.Choices) : null;
    }

    Tensor? Claimed(Tape tape, string name, int columns)
    {
        if (_case.Find(name) is not { } claim) return null;
        if (claim.Values.Length != _call.Tokens * columns) throw new CaseException($"{_case.Path}: {name} has {claim.Values.Length} numbers, {_call.Tokens * columns} are needed; correct its shape");
        return tape.Constant(Written(tape, _call.Tokens, columns, claim.Values));
    }

    static Matrix Written(Tape tape, int rows, int columns, double[] values)
    {
        var matrix = tape.Rent(rows, columns);
        ((IErrorBounds)tape.Backend).WriteErrors(matrix, values, new double[values.Length]);
        return matrix;
    }

    /// <summary>Tokens of every (group, expert): what was asked, or what was kept where the dialect drops by score (Megatron).</summary>
    int[] Counts(RoutingPlan plan, Choices choices, int capacity, bool realOnly = false)
    {
        var kept = _call.Dialect.CapacityLimit == CapacityLimit.Unlimited && capacity != RoutingPlan.Unlimited;
        var counts = new int[_call.Groups * _call.Experts];
        for (var i = 0; i < plan.RowOf.Length; i++)
            if ((kept ? plan.RowOf[i] : choices.Expert[i]) >= 0 && (!realOnly || _call.IsReal(i / plan.Choices))) counts[i / plan.Choices / _call.Size * _call.Experts + plan.Expert[i]]++;
        return counts;
    }

    /// <summary>Whether equals compete for the last slot of an expert.</summary>
    bool DropsAreOpen(Numbers priority, Choices choices, int capacity) =>
        _call.Dialect.OpenDropTies && !_case.Has("claim.slot") && capacity != RoutingPlan.Unlimited && SlotCheck.HasOpenDrops(_call, choices, priority, capacity);

    // Comparisons.

    void Compare(string stage, Tape tape, Tensor ours, Func<int, bool>? used = null, bool open = false)
    {
        if (_case.Find($"claim.{stage}") is not { } claim) return;
        var numbers = SparseLayer.Numbers(tape, ours);
        Floats(stage, claim, numbers.Values, numbers.Errors, open, used);
    }

    void CompareLosses(Tape tape, IReadOnlyList<LossTerm> terms, bool open)
    {
        foreach (var claim in _case.Tensors.Where(t => t.Name.StartsWith("claim.loss.", StringComparison.Ordinal)).OrderBy(t => t.Name == "claim.loss.total"))
        {
            var name = claim.Name["claim.loss.".Length..];
            var tensor = name == "total" ? AuxiliaryLosses.Total(tape, _call, terms) ?? tape.Scalar(0)
                : terms.FirstOrDefault(t => t.Name == name)?.Value ?? throw new CaseException($"{_case.Path}: {claim.Name}: {_call.Dialect.Name} has no such loss in this mode; it has {string.Join(", ", terms.Select(t => t.Name))}");
            Compare($"loss.{name}", tape, tensor, open: open);
        }
    }

    void Whole(string stage, int[] claimed, int[] expected)
    {
        var wrong = Enumerable.Range(0, expected.Length).Where(i => i >= claimed.Length || claimed[i] != expected[i]).ToArray();
        _stages.Add(wrong.Length == 0 && claimed.Length == expected.Length
            ? new(stage, Outcome.Agrees)
            : new(stage, Outcome.Differs, new(wrong.FirstOrDefault(), claimed.ElementAtOrDefault(wrong.FirstOrDefault()), expected.ElementAtOrDefault(wrong.FirstOrDefault()), 0, 0, wrong.Length, expected.Length)));
    }

    void Floats(string stage, CaseTensor claim, double[] expected, double[] errors, bool open = false, Func<int, bool>? used = null)
    {
        if (claim.Values.Length != expected.Length) throw new CaseException($"{_case.Path}: {claim.Name} has {claim.Values.Length} numbers, {expected.Length} are needed; correct its shape");
        // A squared standard deviation has no gradient at 0, and a library that writes it so claims NaN there.
        open |= _call.Dialect.Importance == ImportanceLoss.CleanScores && stage.StartsWith("grad.", StringComparison.Ordinal) && claim.Values.Any(double.IsNaN);
        Difference? first = null;
        var count = 0;
        for (var i = 0; i < expected.Length; i++)
        {
            if (used?.Invoke(i) == false && claim.Values[i] == 0) continue;
            var bound = 2 * errors[i] + (claim.Format == NumberFormat.Float64 ? 0 : Rounding.HalfUnit(claim.Format, Math.Abs(expected[i]) + errors[i]));
            var isSame = claim.Values[i] == expected[i] || double.IsNaN(claim.Values[i]) && double.IsNaN(expected[i]) || Math.Abs(claim.Values[i] - expected[i]) <= bound;
            if (isSame) continue;
            count++;
            first ??= new(i, claim.Values[i], expected[i], Math.Abs(claim.Values[i] - expected[i]), bound, 0, expected.Length);
        }
        _stages.Add(first is null ? new(stage, Outcome.Agrees) : new(stage, open ? Outcome.Undecided : Outcome.Differs, first with { Count = count }));
    }
}
