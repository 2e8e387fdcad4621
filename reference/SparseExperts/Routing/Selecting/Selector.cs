namespace SparseExperts.Routing;

/// <summary>From scores to choices: integers, decided once, on the host. Each rule stands in a file of its own.</summary>
public static class Selector
{
    /// <param name="capacity">Needed by rules that look at full experts while they choose.</param>
    public static Choices Select(RouterCall call, RouterNumbers numbers, Func<int> capacity)
    {
        RouterDraws.Require(call);
        if (call.Dialect.Selection != Selection.Auction) numbers.RefuseNaN(call);
        if (call.Dialect.ForceBalance) return Given.RoundRobin(call);
        return call.Dialect.Selection switch
        {
            Selection.TopK => TopK.Select(call, numbers),
            Selection.Cascade => Cascade.Select(call, numbers, capacity()),
            Selection.ExhaustionAware => ExhaustionAware.Select(call, numbers, capacity()),
            Selection.ExpertChoice => ExpertChoice.Select(call, numbers, capacity()),
            Selection.Batchwise => Batchwise.Select(call, numbers, capacity),
            Selection.OnePerPrototype => Prototypes.Select(call, numbers),
            Selection.BestPartThenTopK => BestPart.Select(call, numbers),
            Selection.Sinkhorn => Sinkhorn.Select(call, numbers),
            Selection.Auction => Auction.Select(call, numbers),
            Selection.OptimalAssignment => OptimalAssignment.Select(call, numbers),
            Selection.OptimalTransport => OptimalTransport.Select(call, numbers, capacity()),
            Selection.Quantile => Quantile.Select(call, numbers),
            Selection.PositiveScores => PositiveScores.Select(call, numbers),
            Selection.DynamicTopK => DynamicTopK.Select(call, numbers),
            Selection.SparseMixer => TopK.Select(call, numbers),
            Selection.HashTable or Selection.PlaceTable => Given.FromTable(call),
            Selection.TaskTable => Given.FromTasks(call),
            Selection.Random => Given.Random(call),
            Selection.PolicySample => Given.Sampled(call, numbers),
            Selection.All or Selection.BinaryCode => Given.Everything(call),
            var other => throw new RoutingException($"{call.Where}: selection {other} is no choice among experts; it has a layer of its own"),
        };
    }
}
