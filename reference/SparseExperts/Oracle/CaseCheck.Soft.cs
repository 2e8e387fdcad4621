using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

public sealed partial class CaseCheck
{
    /// <summary>A mixture of slots: the weights of tokens in slots, of slots in tokens, the output, gradients.</summary>
    internal void SoftStages(Tape tape, CaseTensors tensors)
    {
        int columns = RouterLogits.Needed(_call, tensors.Router.Slots, "router.slots").Columns, slots = columns / _call.Experts;
        if (_case.Find("claim.capacity") is { } capacity) Whole("capacity", [(int)capacity.Values[0]], [SoftLayer.SlotsPerExpert(_call)]);
        if (LossClaims.FirstOrDefault(c => c.Name != "claim.loss.total") is { } loss) throw MissingLoss.Of(_case, _call, loss.Name["claim.loss.".Length..], []);
        var logits = SoftLayer.Logits(tape, _call, tensors.X, tensors.Router);
        Tensor dispatch = RouterScores.SoftmaxOverTokens(tape, _call, logits), combine = tape.Softmax(logits);
        Compare("slot_dispatch", tape, dispatch);
        Compare("slot_combine", tape, combine);
        var experts = tensors.Experts
            ?? throw new CaseException($"{_case.Path}: no experts; a mixture of slots is checked with them, add experts.wi and experts.wo");
        var sends = Claimed(tape, "claim.slot_dispatch", columns) ?? dispatch;
        var gathers = Claimed(tape, "claim.slot_combine", columns) ?? combine;
        var y = SoftLayer.Mix(tape, _call, tensors.X, sends, gathers, experts, slots);
        Compare("y", tape, y);
        if (!Gradients.Any()) return;
        using var second = new Tape(_backend);
        var again = new CaseTensors(_case, second, _call);
        Backward(second, again, SoftLayer.Forward(second, _call, again.X, again.Router, again.Experts!).Output, null, false);
    }
}
