namespace SparseExperts.Profiling;

/// <summary>What the backend plans by itself.</summary>
public sealed partial class CountingBackend
{
    bool IRouting.Plans(in PlanRule rule) => inner.Routing!.Plans(rule);

    void IRouting.Plan(in PlanRule rule, Matrix scores, Matrix? bias, in PlanArrays to)
    {
        using var call = Begin(Bytes(scores) + Bytes(bias), PlanArrays.Length(rule) * sizeof(int), null, "Plan");
        inner.Routing!.Plan(rule, scores, bias, to);
    }

    void IRouting.MoveBias(Indices offsets, double rate, Matrix bias)
    {
        using var call = Begin(Bytes(offsets), bias, true, "MoveBias");
        inner.Routing!.MoveBias(offsets, rate, bias);
    }
}
