namespace SparseExperts.Autograd;

/// <summary>What a router's host part asks of the backend: numbers come, a plan goes. A planner on the device would do without all of it.</summary>
public sealed partial class Tape
{
    /// <summary>Numbers for the host that plans; <paramref name="values"/> has one for each element.</summary>
    internal void ReadForPlan(Matrix from, Span<double> values)
    {
        using var plan = During(Activity.Plan);
        Backend.Read(from, values);
    }

    /// <summary>Indices of a plan until the next reset.</summary>
    internal Indices UploadPlan(ReadOnlySpan<int> values)
    {
        using var plan = During(Activity.Plan);
        return Upload(values);
    }

    /// <summary>What a plan multiplies or shifts numbers by: masks, counts, draws.</summary>
    internal Tensor PlanConstant(int rows, int columns, ReadOnlySpan<float> values)
    {
        using var plan = During(Activity.Plan);
        return Constant(rows, columns, values);
    }
}
