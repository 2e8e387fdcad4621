using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

public sealed partial class CaseCheck
{
    /// <summary>A routed call with its claims in the place of what was computed, for whoever computes on from there.</summary>
    /// <param name="backend">A backend whose numbers carry error bounds.</param>
    /// <exception cref="CaseException">As <see cref="Run(Case, IBackend, Effort?)"/>.</exception>
    internal static ClaimedCall Claimed(Case @case, IBackend backend)
    {
        var check = new CaseCheck(@case, backend, null);
        var tape = new Tape(backend);
        try
        {
            var tensors = new CaseTensors(@case, tape, check._call);
            var claims = new Claims(check, tape, tensors);
            var routed = RoutedLayer.Route(tape, check._call, tensors.X, tensors.Router, claims);
            return new(@case, tape, check._call, routed, claims.Expected, claims.Decided, check._claimed);
        }
        catch
        {
            tape.Dispose();
            throw;
        }
    }

    /// <summary>Logits, scores, choices, slots, gates, the output, the losses, the bias after the call, gradients.</summary>
    internal void RoutedStages(Tape tape, CaseTensors tensors)
    {
        var claims = new Claims(this, tape, tensors);
        var routed = RoutedLayer.Route(tape, _call, tensors.X, tensors.Router, claims);
        if (tensors.Experts is { } experts && _case.Has("claim.y")) Compare("y", Output(tape, tensors, routed, experts));
        CompareLosses(tape, routed.Losses with { Gates = routed.Effective.Gates });
        var numbers = routed.Scored.Numbers;
        if (_case.Has("claim.correction_bias") && _case.Has("router.correction_bias"))
            Compare("correction_bias", BiasUpdate.After(_case, _call, routed.Plan, numbers.Logits));
        if (Gradients.Any()) Again(routed.Choices, routed.Plan, numbers);
    }

    Numbers Output(Tape tape, CaseTensors tensors, Routed routed, ExpertWeights experts)
    {
        var x = tensors.ExpertsX ?? RoutedLayer.ExpertInput(_call, tensors.X, routed.Scored.Input);
        var (gates, plan) = routed.Effective;
        return OutputInBlocks.Suits(_call, plan, x.Columns)
            ? OutputInBlocks.Compute(_backend, _call, x, experts, gates, plan, routed.SharedGates)
            : HostNumbers.Of(tape, Experts.Apply(tape, _call, x, experts, gates, plan, sharedGates: routed.SharedGates));
    }

    /// <summary>The whole layer from x with the claimed integers held fixed, forward and back.</summary>
    void Again(Choices choices, RoutingPlan plan, RouterNumbers numbers)
    {
        using var tape = new Tape(_backend);
        var tensors = new CaseTensors(_case, tape, _call);
        tensors.X.AddsPartsIn(_call.Format);
        tensors.ExpertsX?.AddsPartsIn(_call.Format);
        var routed = RoutedLayer.Route(tape, _call, tensors.X, tensors.Router, new HeldDecisions(numbers, choices, plan, _case.HasConstantGates ? tape : null));
        var y = tensors.Experts is { } experts ? RoutedLayer.Output(tape, _call, routed, tensors.X, tensors.ExpertsX, experts) : null;
        var losses = AuxiliaryLosses.Of(tape, _call, routed.Losses);
        Backward(tape, tensors, y, AuxiliaryLosses.Total(tape, _call, losses), SelectionCheck.HasOpenTopK(_call, numbers));
    }

    /// <summary>Compares every stage with the file's claim and puts the claim in its place.</summary>
    sealed class Claims(CaseCheck check, Tape tape, CaseTensors tensors) : Substitution
    {
        readonly Case _case = check._case;
        readonly RouterCall _call = check._call;
        readonly ClaimedPlan _claimed = check._claimed;
        Choices? _expected;
        Decisions? _decided;

        public Choices Expected => _expected ?? throw new InvalidOperationException("experts have not been chosen yet");
        public Decisions Decided => _decided ?? throw new InvalidOperationException("slots have not been assigned yet");

        public override Tensor? BeforeLogits(Func<Tensor?> compute) => _call.Dialect.Router switch
        {
            RouterForm.Mlp => ClaimedOr("router_state", tensors.Router.Mlp?.Down is null ? null : compute),
            RouterForm.ProductKeys => ClaimedOr("key_logits", tensors.Router.Keys is null ? null : compute),
            _ => null,
        };

        /// <summary>A claim after it was compared with what it is made from, where that is there; else what was computed.</summary>
        Tensor? ClaimedOr(string stage, Func<Tensor?>? compute)
        {
            if (compute?.Invoke() is not { } computed)
                return _case.Find($"claim.{stage}") is { } given ? check.Claimed(tape, given.Name, given.Values.Length / _call.Tokens) : null;
            check.Compare(stage, tape, computed);
            return check.Claimed(tape, $"claim.{stage}", computed.Columns) ?? computed;
        }

        public override Tensor? SharedLogits(Func<Tensor?> compute)
        {
            if (!_call.Dialect.SharedInGates) return null;
            return ClaimedOr("shared_logits", tensors.Router.SharedWeight is null ? null : compute)
                ?? throw new CaseException($"{_case.Path}: neither router.shared_weight nor claim.shared_logits; give one of them");
        }

        public override Tensor? SharedGates(Tensor? computed)
        {
            if (computed is null) return null;
            check.Compare("shared_gate", tape, computed);
            return check.Claimed(tape, "claim.shared_gate", computed.Columns) ?? computed;
        }

        /// <summary>Whether the file holds what the router makes its logits from.</summary>
        bool HasRouter => _call.Dialect.Router switch
        {
            RouterForm.None => true,
            RouterForm.ProductKeys => tensors.Router.Keys is not null || _case.Has("claim.key_logits"),
            RouterForm.Mlp => tensors.Router is { Weight: not null, Mlp: { } mlp } && (mlp.Down is not null || _case.Has("claim.router_state")),
            _ => tensors.Router.Weight is not null,
        };

        public override Tensor Logits(Func<Tensor> compute)
        {
            if (!HasRouter)
            {
                var claimed = check.Claimed(tape, "claim.logits", _call.Experts);
                return ClaimedLogits(claimed ?? throw new CaseException($"{_case.Path}: neither router.weight nor claim.logits; give one of them"));
            }
            var logits = compute();
            check.Compare("logits", tape, logits, used: i => _call.Dialect.PaddingLogits != PaddingLogits.Zeroed || _call.IsReal(i / _call.Experts));
            return ClaimedLogits(logits);
        }

        /// <summary>
        /// The claimed logits; where padding's become 0 for the z-loss alone, a producer may have kept them before or after, and the recomputed ones
        /// stand there.
        /// </summary>
        Tensor ClaimedLogits(Tensor recomputed)
        {
            if (check.Claimed(tape, "claim.logits", _call.Experts) is not { } claimed) return recomputed;
            var isLeftOut = _call.Dialect.PaddingLogits == PaddingLogits.Zeroed && _call.TokenMask.Length > 0;
            return But(i => isLeftOut && !_call.IsReal(i / _call.Experts), claimed, recomputed);
        }

        /// <summary>
        /// Claimed numbers but for some, in whose place those stand that were computed; and but for what is none: it departs where it is claimed, and whoever
        /// ranks it would say no more than that.
        /// </summary>
        Tensor But(Func<int, bool> some, Tensor claimed, Tensor computed)
        {
            if (claimed == computed) return claimed;
            var values = HostNumbers.Of(tape, claimed).Values;
            var own = HostNumbers.Of(tape, computed);
            bool IsNone(int i) => (double.IsNaN(values[i]) || double.IsPositiveInfinity(values[i])) && double.IsFinite(own.Values[i]);
            bool[] isReplaced = [.. Enumerable.Range(0, values.Length).Select(i => some(i) || IsNone(i))];
            if (!isReplaced.Contains(true)) return claimed;
            var errors = HostNumbers.Of(tape, claimed).Errors;
            var matrix = tape.Rent(claimed.Rows, claimed.Columns);
            ((IErrorBounds)tape.Backend).WriteErrors(
                matrix,
                [.. values.Select((v, i) => isReplaced[i] ? own.Values[i] : v)],
                [.. errors.Select((e, i) => isReplaced[i] ? own.Errors[i] : e)]);
            return tape.Constant(matrix);
        }

        public override Tensor Scores(Tensor computed)
        {
            check.Compare("scores", tape, computed);
            if (_call.Dialect.Score is Score.SoftmaxPost or Score.None) return computed;
            return check.Claimed(tape, "claim.scores", _call.Experts) is { } claimed ? But(_ => false, claimed, computed) : computed;
        }

        public override int CapacityOfChoosing(Func<int> compute) => _claimed.Capacity() ?? compute();

        public override Choices Choices(RouterNumbers numbers, Func<Choices> select) => _claimed.ChoicesOr(_expected = select());

        public override int Capacity(RouterNumbers numbers, Choices choices, Func<int> compute)
        {
            if (_case.Find("claim.capacity") is { } capacity)
                check.Whole("capacity", [(int)capacity.Values[0]], [CapacityRule.Reported(_call, CapacityRule.Loads(_call, choices, numbers))]);
            if (_case.Find("claim.expert") is { } experts)
            {
                if (Expected.ByExperts) throw ExpertsChoose();
                var verdict = SelectionCheck.Experts(_call, numbers, Expected, experts.Integers, experts.Size(-1));
                check.Add(verdict, experts.Integers, Expected.Expert, _call.Dialect.OpenOrder ? Math.Max(1, Expected.K) : 1);
            }
            return _claimed.Capacity() ?? compute();
        }

        CaseException ExpertsChoose() => new(
            $"{_case.Path}: claim.expert says what tokens chose, but in {_call.Dialect.Name} experts choose; claim token and combine instead");

        public override RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign)
        {
            _decided = decided;
            var (numbers, choices, capacity, priority) = decided;
            var plan = assign();
            if (_case.Find("claim.token") is { } tokens && !Expected.ByExperts)
            {
                var seated = _claimed.TokensInSlots(plan, tokens.Size(-1));
                if (_claimed.SharesSlots) check.Whole("token", tokens.Integers, seated);
                else
                {
                    var verdict = TokenCheck.Run(_call, numbers, Expected, choices, _case.Has("claim.expert"), priority, plan, _claimed, tokens);
                    check.Add(verdict, tokens.Integers, seated);
                }
                plan = _claimed.PlanOf(choices, _claimed.SlotsOfTokens(choices, tokens), capacity);
            }
            if (_case.Find("claim.slot") is { } slots)
            {
                var claimed = _claimed.PlanOf(choices, slots.Integers, capacity);
                check.Add(SlotCheck.Run(_call, choices, numbers, priority, plan, slots.Integers, capacity), slots.Integers, plan.Slot);
                plan = claimed;
            }
            return DropsAreOpen && _case.Find("claim.combine") is { } kept ? _claimed.PlanOfKept(choices, plan, kept.Values, priority, capacity) : plan;
        }

        public override Tensor Gates(Tensor computed)
        {
            check.Compare("gate", tape, computed, used: i => Decided.Choices.Expert[i] >= 0);
            if (_case.Find("claim.token") is { } tokens && Expected.ByExperts)
                check.Add(SelectionCheck.Tokens(_call, Decided.Numbers, Expected, tokens.Integers), tokens.Integers, Expected.Token);
            return computed;
        }

        public override (Tensor Gates, RoutingPlan Plan) Effective((Tensor Gates, RoutingPlan Plan) computed)
        {
            var (gates, plan) = computed;
            check.Compare("combine", tape, Routing.Gates.Dense(tape, gates, plan.Expert, _call.Experts), open: DropsAreOpen);
            if (_case.Find("claim.count") is { } count) check.Whole("count", count.Integers, _claimed.Counts(plan, Decided.Choices, Decided.Capacity));
            return (ClaimedGates(gates, plan) ?? gates, plan);
        }

        Tensor? ClaimedGates(Tensor gates, RoutingPlan plan)
        {
            if (_case.Find("claim.gate") is { } claim && claim.Values.Length == gates.Value.Count) return Given(tape, claim, gates.Rows, gates.Columns);
            if (check.Claimed(tape, "claim.combine", _call.Experts) is not { } dense) return null;
            return Routing.Gates.Gather(tape, _call, dense, plan.Expert, plan.Choices);
        }

        /// <summary>Whether equals compete for the last slot of an expert.</summary>
        bool DropsAreOpen => _call.Dialect.OpenDropTies && !_case.Has("claim.slot") && Decided.Capacity != RoutingPlan.Unlimited
            && SlotCheck.HasOpenDrops(_call, Decided.Choices, Decided.Priority, Decided.Capacity);
    }
}
