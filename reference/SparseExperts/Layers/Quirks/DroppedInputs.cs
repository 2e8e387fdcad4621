using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers.Quirks;

/// <summary>What a dropped token gets where that is not 0: gate times input (transformers before #37017).</summary>
static class DroppedInputs
{
    public static Tensor Add(Tape tape, RouterCall call, Tensor x, Tensor y, Tensor gates, PlanHandle handle)
    {
        if (call.Dialect.DroppedOutput != DroppedOutput.GateTimesInput) return y;
        var plan = handle.Host;
        for (var j = 0; j < plan.Choices; j++)
        {
            // Choice by choice: the tokens that made it and have no slot for it, and its gates [T, 1].
            var choices = Enumerable.Range(0, plan.Tokens).Select(t => t * plan.Choices + j).ToArray();
            int[] lost = [.. choices.Select((i, t) => plan.RowOf[i] < 0 && plan.Expert[i] >= 0 ? t : -1)];
            if (!lost.Any(t => t >= 0)) continue;
            var gate = plan.Choices == 1 ? gates : tape.GatherElements(gates, choices, plan.Tokens, 1);
            y = tape.Add(y, tape.ScaleRows(tape.GatherRows(x, tape.UploadPlan(lost)), gate));
        }
        return y;
    }
}
