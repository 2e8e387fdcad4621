namespace SparseExperts.Profiling;

/// <summary>What the backend plans by itself.</summary>
public sealed partial class CountingBackend
{
    bool IRouting.Plans(in PlanRule rule) => inner.Routing!.Plans(rule);

    void IRouting.Plan(in PlanRule rule, in PlanInputs from, in PlanArrays to)
    {
        var read = Bytes(from.Ranked) + Bytes(from.Bias) + Bytes(from.Scores) + Bytes(from.Draws);
        using var call = Begin(read, PlanArrays.Length(rule) * sizeof(int), null, "Plan");
        inner.Routing!.Plan(rule, from, to);
    }

    void IRouting.MoveBias(Indices offsets, double rate, Matrix factor, Matrix bias)
    {
        using var call = Begin(Bytes(offsets), bias, true, "MoveBias");
        inner.Routing!.MoveBias(offsets, rate, factor, bias);
    }
}
