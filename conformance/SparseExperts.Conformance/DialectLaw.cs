using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>How a router answers a case: by default the library's engine.</summary>
public delegate RoutingPlan DialectRouter(Dialect dialect, RouterCall call, DialectCase asked);

/// <summary>A sentence that is true of every dialect that promises it. <paramref name="Find"/> gives what contradicts it, or null.</summary>
public sealed record DialectLaw(string Name, Func<Dialect, bool> IsPromised, Func<Dialect, DialectCase, DialectRouter, string?> Find)
{
    public void Demand(Dialect dialect, DialectCase asked, DialectRouter router)
    {
        if (Find(dialect, asked, router) is { } detail) throw new DialectLawViolation(this, $"{dialect.Name}: {detail} in {asked}");
    }

    /// <summary>Demands the law of every dialect that is asked and promises it.</summary>
    public void Demand(DialectCase asked, DialectRouter router)
    {
        foreach (var dialect in asked.Among(BuiltIn.All.Where(IsPromised))) Demand(dialect, asked, router);
    }
}

/// <summary>A router broke a law.</summary>
public sealed class DialectLawViolation(DialectLaw law, string detail) : Exception($"{law.Name}: {detail}")
{
    public DialectLaw Law => law;
}
