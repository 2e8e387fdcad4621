using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

public sealed partial class CaseCheck
{
    /// <summary>Two routers: the weight of every expert, the output, the losses, gradients.</summary>
    internal void TwoLevelStages(Tape tape, CaseTensors tensors)
    {
        var routed = TwoLevelRouter.Route(tape, _call, tensors.X, tensors.Router);
        Compare("combine", tape, Gates.Dense(tape, routed.Gates, routed.Plan.Expert, _call.Experts));
        var plan = routed.Plan;
        var gates = Claimed(tape, "claim.combine", _call.Experts) is { } claimed ? Gates.Gather(tape, _call, claimed, plan.Expert, plan.Choices) : routed.Gates;
        if (tensors.Experts is { } experts)
            Compare("y", tape, TwoLevelRouter.Output(tape, _call, routed with { Gates = gates }, tensors.X, tensors.ExpertsX, experts));
        CompareLosses(tape, routed.Losses, _ => []);
        if (!Gradients.Any()) return;
        using var second = new Tape(_backend);
        var again = new CaseTensors(_case, second, _call);
        var result = TwoLevelRouter.Route(second, _call, again.X, again.Router);
        var y = again.Experts is { } held ? TwoLevelRouter.Output(second, _call, result, again.X, again.ExpertsX, held) : null;
        Backward(second, again, y, AuxiliaryLosses.Total(second, _call, result.Losses), false);
    }
}
