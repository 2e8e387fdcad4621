using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>The whole layer of a case, forward: from its tokens, or from logits where they are all it has.</summary>
/// <param name="Gates">As they take effect [T, K], with the plan that they belong to.</param>
/// <param name="Output">[T, M], where the case has experts.</param>
sealed record LayerPass(LossInputs Inputs, Tensor Gates, RoutingPlan Plan, Tensor? Output)
{
    /// <param name="given">Logits instead of the router's.</param>
    /// <param name="routes">Experts, and slots where it has any, that are taken instead of the router's.</param>
    /// <param name="held">Decisions that are held fixed.</param>
    public static LayerPass Run(Tape tape, RouterCall call, CaseTensors tensors, CaseTensor? given = null, ClaimedPlan? routes = null, (RouterNumbers Numbers, Choices Choices, RoutingPlan Plan)? held = null)
    {
        var input = RouterLogits.Input(tape, call, tensors.X);
        var logits = given is null ? RouterLogits.Compute(tape, call, input, tensors.Router) : tape.Constant(tape.Written(call.Tokens, call.Experts, given.Values));
        var noisy = RouterScores.Noisy(tape, call, logits, input, tensors.Router, out var deviation);
        var scores = RouterScores.Compute(tape, call, noisy);
        var numbers = held?.Numbers ?? SparseLayer.Read(tape, call, logits, noisy, scores, tensors.Router);
        var choices = held?.Choices ?? Selector.Select(call, numbers, () => CapacityRule.Capacity(call, default));
        if (routes is not null) choices = routes.ChoicesOr(choices);
        var gates = Routing.Gates.BeforeDrop(tape, call, noisy, scores, choices, tensors.Router.CorrectionBias);
        var capacity = CapacityRule.Capacity(call, CapacityRule.Loads(call, choices, numbers));
        var plan = held?.Plan ?? routes?.SlotsOrNull(choices, capacity) ?? Slots.Assign(call, choices, capacity, numbers, SparseLayer.Numbers(tape, gates).Values);
        gates = Routing.Gates.AfterDrop(tape, call, gates, plan);
        var (effective, effectivePlan) = Experts.Effective(tape, call, gates, plan);
        var y = tensors.Experts is { } experts ? Experts.Apply(tape, call, SparseLayer.ExpertInput(call, tensors.X, input), experts, effective, effectivePlan) : null;
        LossInputs inputs = new() { Logits = logits, Noisy = noisy, Scores = scores, Deviation = deviation, Numbers = numbers, Choices = choices, Plan = plan, Gates = gates, Weights = tensors.Router };
        return new(inputs, effective, effectivePlan, y);
    }
}

static class WrittenNumbers
{
    /// <summary>Exact numbers on the tape's backend.</summary>
    public static Matrix Written(this Tape tape, int rows, int columns, double[] values)
    {
        var matrix = tape.Rent(rows, columns);
        ((IErrorBounds)tape.Backend).WriteErrors(matrix, values, []);
        return matrix;
    }
}
