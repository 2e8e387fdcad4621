using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Layers.Quirks;

/// <summary>The last experts return what they get (transformers modeling_longcat_flash.py).</summary>
static class IdentityExperts
{
    /// <summary>The other experts on their rows, and the rows of the last ones as they came.</summary>
    public static Tensor Around(Tape tape, RouterCall call, Tensor inputs, PlanHandle handle, Func<Tensor, Tensor> experts)
    {
        var count = call.Dialect.IdentityExperts;
        if (count == 0) return experts(inputs);
        var plan = handle.Host;
        var first = plan.Offsets[call.Experts - count];
        int[] routed = new int[plan.Rows], passed = new int[plan.Rows];
        for (var r = 0; r < plan.Rows; r++) (routed[r], passed[r]) = r < first ? (r, -1) : (-1, r);
        var outputs = experts(tape.RowRange(inputs, 0, first));
        return tape.Add(tape.GatherRows(outputs, tape.UploadPlan(routed)), tape.GatherRows(inputs, tape.UploadPlan(passed)));
    }
}
