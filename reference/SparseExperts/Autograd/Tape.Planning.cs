namespace SparseExperts.Autograd;

/// <summary>
/// What a router's host part asks of the backend: numbers come, a plan goes. A backend that plans by itself does without all of it, until somebody wants to
/// see the plan.
/// </summary>
public sealed partial class Tape
{
    readonly HostScratch _host = new();
    readonly List<Action> _plans = [];

    /// <summary>A host array of exactly that length until the next reset; its contents are arbitrary.</summary>
    internal double[] HostNumbers(int count) => _host.Numbers(count);

    /// <summary>Zeros on the host, shared by all who only read.</summary>
    internal double[] HostZeros(int count) => _host.Zeros(count);

    /// <summary>Numbers for the host that plans; <paramref name="values"/> has one for each element.</summary>
    internal void ReadForPlan(Matrix from, Span<double> values)
    {
        using var plan = During(Activity.Plan);
        Backend.Read(from, values);
    }

    /// <summary>Integers of a plan that the backend made.</summary>
    internal int[] ReadPlan(Indices from)
    {
        using var plan = During(Activity.Plan);
        return Backend.ToArray(from);
    }

    /// <summary>A plan of the backend that is believed with the step's other numbers: <paramref name="refuse"/> throws where it may not be.</summary>
    internal void Watch(Action refuse) => _plans.Add(refuse);

    /// <summary>
    /// Throws where an op has met an index out of its range, and where a backend's plan since the last reset ranked NaN, with the line of the host's engine:
    /// before numbers that came of them are believed. Waits for the work that was given; one small read a plan.
    /// </summary>
    public void CheckFaults()
    {
        Backend.CheckFaults();
        foreach (var refuse in _plans) refuse();
    }

    /// <summary>A plan that the backend makes, until the next reset.</summary>
    internal PlanArrays PlanOnBackend(in PlanRule rule, in PlanInputs from)
    {
        using var plan = During(Activity.Plan);
        var arrays = PlanArrays.In(_step.RentIntegers(PlanArrays.Length(rule)), rule);
        Backend.Routing!.Plan(rule, from, arrays);
        return arrays;
    }

    /// <summary>How often this tape was reset: what the backend planned is gone with the next one.</summary>
    internal int Resets { get; private set; }

    void ForgetPlans()
    {
        _plans.Clear();
        _host.Reset();
        Resets++;
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
