using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// A layer's output, some tokens at a time, and blocks side by side where the backend serves several threads: what a token gets depends on no other token
/// once the plan is known, so a large case needs memory for a block instead of for all its dispatched rows.
/// </summary>
static class OutputInBlocks
{
    /// <summary>Numbers in the dispatched rows of a block.</summary>
    const int BlockNumbers = 1 << 19;

    /// <summary>Whether tokens are independent of each other here: not where they share slots, nor where dropout counts elements of the whole.</summary>
    public static bool Suits(RouterCall call, RoutingPlan plan, int width) =>
        (long)plan.Rows * width > BlockNumbers && !plan.SharesSlots && !(call.Training && call.Dialect.TokenDropout > 0);

    /// <summary><see cref="Experts.Apply"/>, forward alone.</summary>
    public static Numbers Compute(IBackend backend, RouterCall call, Tensor x, ExpertWeights experts, Tensor gates, RoutingPlan plan, Tensor? sharedGates)
    {
        int width = x.Columns, block = Math.Max(1, BlockNumbers / (width * plan.Choices)), blocks = (plan.Tokens + block - 1) / block;
        double[] values = new double[plan.Tokens * width], errors = new double[values.Length];
        void Block(int b)
        {
            int first = b * block, count = Math.Min(block, plan.Tokens - first);
            using var tape = new Tape(backend) { Recording = false };
            var part = call with { Groups = 1, Size = count, TokenMask = call.TokenMask.Length == 0 ? [] : call.TokenMask[first..(first + count)] };
            Tensor Rows(Tensor whole) => tape.Constant(whole.Value.RowRange(first, count));
            var shared = sharedGates is null ? null : Rows(sharedGates);
            var y = Experts.Apply(tape, part, Rows(x), experts, Rows(gates), Part(plan, first, count), sharedGates: shared);
            backend.Read(y.Value, values.AsSpan(first * width, count * width));
            ((IErrorBounds)backend).ReadErrors(y.Value, errors.AsSpan(first * width, count * width));
        }
        if (backend.Info.ServesThreads) Parallelism.For(blocks, Block);
        else
            for (var b = 0; b < blocks; b++) Block(b);
        return new(values, errors);
    }

    /// <summary>The plan of some tokens alone: the same choices kept and dropped, slots counted anew.</summary>
    static RoutingPlan Part(RoutingPlan plan, int first, int count)
    {
        var range = (first * plan.Choices)..((first + count) * plan.Choices);
        int[] expert = plan.Expert[range], slot = plan.Slot[range], next = new int[plan.Experts];
        for (var i = 0; i < slot.Length; i++)
            if (slot[i] != RoutingPlan.Dropped) slot[i] = next[expert[i]]++;
        return new(plan.Experts, 1, plan.Choices, RoutingPlan.Unlimited, expert, slot);
    }
}
