using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>Given logits in the place of the router's, and claimed or recorded routes (experts, capacity, slots) in the place of its choices.</summary>
sealed class ForcedRoutes(Tape tape, RouterCall call, CaseTensor? logits, ClaimedPlan? routes) : Substitution
{
    public override Tensor Logits(Func<Tensor> compute) => logits is null ? compute() : tape.Constant(tape.Written(call.Tokens, call.Experts, logits.Values));
    public override Choices Choices(RouterNumbers numbers, Func<Choices> select) => routes is null ? select() : routes.ChoicesOr(select());
    public override int Capacity(RouterNumbers numbers, Choices choices, Func<int> compute) => routes?.Capacity() ?? compute();
    public override RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign) => routes?.SlotsOrNull(decided.Choices, decided.Capacity) ?? assign();
}

/// <summary>The decisions of another pass, held fixed: gradients flow as if they were constants.</summary>
/// <param name="constantGates">The tape on which the gates too are constants, or null.</param>
sealed class HeldDecisions(RouterNumbers numbers, Choices choices, RoutingPlan plan, Tape? constantGates = null) : Substitution
{
    public override Tensor Gates(Tensor computed) => constantGates?.Constant(computed.Value) ?? computed;
    public override RouterNumbers Numbers(Func<RouterNumbers> read) => numbers;
    public override Choices Choices(RouterNumbers read, Func<Choices> select) => choices;
    public override RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign) => plan;
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
