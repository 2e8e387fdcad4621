using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>The reference's own claims of a case, stage by stage, as they come about on a tape.</summary>
/// <param name="isForced">The case's claim.expert stands in the router's place, and so does claim.slot.</param>
sealed class OwnClaims(Case asked, RouterCall call, Tape tape, bool isForced)
{
    readonly CaseTensors _tensors = new(asked, tape, call);
    readonly List<CaseTensor> _claims = [];

    public IReadOnlyList<CaseTensor> Claims => _claims;

    /// <summary>A mixture of slots; it has no loss.</summary>
    public (Tensor? Y, Tensor? Loss) Soft()
    {
        long slots = RouterLogits.Needed(call, _tensors.Router.Slots, "router.slots").Columns / call.Experts;
        var logits = SoftLayer.Logits(tape, call, _tensors.X, _tensors.Router);
        Real("slot_dispatch", RouterScores.SoftmaxOverTokens(tape, call, logits), call.Experts, slots);
        Real("slot_combine", tape.Softmax(logits), call.Experts, slots);
        return (_tensors.Experts is { } experts ? SoftLayer.Forward(tape, call, _tensors.X, _tensors.Router, experts).Output : null, null);
    }

    /// <summary>Two routers.</summary>
    public (Tensor? Y, Tensor? Loss) TwoLevels()
    {
        var routed = TwoLevelRouter.Route(tape, call, _tensors.X, _tensors.Router);
        Combine(routed.Gates, routed.Plan);
        var y = _tensors.Experts is { } experts ? TwoLevelRouter.Output(tape, call, routed, _tensors.X, _tensors.ExpertsX, experts) : null;
        return (y, Losses(routed.Losses));
    }

    /// <summary>Every stage from the logits to the bias after the call.</summary>
    public (Tensor? Y, Tensor? Loss) Routed()
    {
        var given = asked.Has("router.weight") ? null : asked.Find("claim.logits");
        var forced = isForced ? new ClaimedPlan(asked, call) : null;
        var routed = RoutedLayer.Route(tape, call, _tensors.X, _tensors.Router, new ForcedRoutes(tape, call, given, forced));
        Scores(routed.Scored, routed.SharedGates);
        Plan(routed);
        if (call.Training && BiasUpdate.Moves(call.Dialect) && asked.Find("router.correction_bias") is { } bias)
            Add("correction_bias", "F32", bias.Shape, BiasUpdate.After(asked, call, routed.Plan, routed.Scored.Numbers.Logits).Values);
        var loss = Losses(AuxiliaryLosses.Of(tape, call, routed.Losses));
        return (_tensors.Experts is { } experts ? RoutedLayer.Output(tape, call, routed, _tensors.X, _tensors.ExpertsX, experts) : null, loss);
    }

    void Scores(Scored scored, Tensor? sharedGates)
    {
        if (call.Dialect.Router == RouterForm.Mlp) Real("router_state", scored.Before);
        if (call.Dialect.Router == RouterForm.ProductKeys) Real("key_logits", scored.Before, 2, scored.Before?.Columns / 2 ?? 0);
        Real("shared_logits", scored.SharedLogits);
        Real("shared_gate", sharedGates);
        if (!asked.Has("claim.logits")) Real("logits", scored.Logits);
        if (call.Dialect.Score != Score.None) Real("scores", scored.Scores);
    }

    void Plan(Routed routed)
    {
        var (choices, plan, (gates, effective)) = (routed.Choices, routed.Plan, routed.Effective);
        if (call.Dialect.CapacityFormula != CapacityFormula.None
            && CapacityRule.Reported(call, CapacityRule.Loads(call, choices, routed.Scored.Numbers)) is not RoutingPlan.Unlimited and var capacity)
            Add("capacity", "I32", [], [capacity]);
        if (choices.ByExperts) Whole("token", choices.Token, call.Groups, call.Experts, choices.Token.Length / (call.Groups * call.Experts));
        else
        {
            Whole("expert", plan.Expert, call.Groups, call.Size, choices.K);
            if (plan.Capacity != RoutingPlan.Unlimited || asked.Has("claim.slot")) Whole("slot", plan.Slot, call.Groups, call.Size, choices.K);
            Real("gate", routed.Gates);
        }
        Combine(gates, effective);
        Whole("count", new ClaimedPlan(asked, call).Counts(effective, choices, plan.Capacity), call.Groups, call.Experts);
    }

    void Combine(Tensor gates, RoutingPlan plan) => Real("combine", Gates.Dense(tape, gates, plan.Expert, call.Experts));

    /// <summary>Every loss before its coefficient, and their weighted sum, which is returned.</summary>
    Tensor? Losses(IReadOnlyList<LossTerm> losses)
    {
        foreach (var loss in losses) Number($"loss.{loss.Name}", loss.Value);
        var total = AuxiliaryLosses.Total(tape, call, losses);
        if (losses.Count > 0) Number("loss.total", total ?? tape.Scalar(0));
        return total;
    }

    /// <summary>The output, and the gradients that the case's cotangents ask for.</summary>
    public void AddOutput(Tensor? y, Tensor? loss)
    {
        Real("y", y);
        if (asked.Find("cotangent.y") is not { } cotangent || y is null) return;
        var seeds = new List<(Tensor, Matrix)> { (y, tape.Written(y.Rows, y.Columns, cotangent.Values)) };
        if (loss is { RequiresGradient: true }) seeds.Add((loss, tape.Written(1, 1, asked.Find("cotangent.losses")?.Values ?? [1.0])));
        tape.Backward([.. seeds]);
        foreach (var input in asked.Tensors)
            if (_tensors.Gradient(input.Name) is { } gradient) Add($"grad.{input.Name}", "F32", input.Shape, gradient.Values);
    }

    /// <summary>Numbers of every token [G, S, …]; nothing where there are none.</summary>
    /// <param name="shape">Of a token's numbers; by default they are one row.</param>
    void Real(string name, Tensor? values, params long[] shape)
    {
        if (values is not null)
            Add(name, "F32", [call.Groups, call.Size, .. shape.Length > 0 ? shape : [values.Columns]], HostNumbers.Of(tape, values).Values.ToArray());
    }

    void Number(string name, Tensor value) => Add(name, "F32", [], HostNumbers.Of(tape, value).Values.ToArray());

    void Whole(string name, int[] values, params long[] shape) => Add(name, "I32", shape, Array.ConvertAll(values, v => (double)v));

    void Add(string name, string type, long[] shape, double[] values) => _claims.Add(new($"claim.{name}", type, shape, values));
}
