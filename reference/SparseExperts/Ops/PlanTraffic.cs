using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// What planning asks of the backend, charged to plans: numbers come to the host and a plan goes; a backend that plans by itself does without both, until
/// somebody wants to see the plan.
/// </summary>
static class PlanTraffic
{
    /// <summary>Numbers for the host that plans; <paramref name="values"/> has one for each element.</summary>
    public static void ReadForPlan(this Tape tape, Matrix from, Span<double> values)
    {
        using var plan = tape.During(Activity.Plan);
        tape.Backend.Read(from, values);
    }

    /// <summary>Integers of a plan that the backend made.</summary>
    public static int[] ReadPlan(this Tape tape, Indices from)
    {
        using var plan = tape.During(Activity.Plan);
        return tape.Backend.ToArray(from);
    }

    /// <summary>A plan that the backend makes, until the next reset.</summary>
    public static PlanArrays PlanOnBackend(this Tape tape, in PlanRule rule, in PlanInputs from)
    {
        using var plan = tape.During(Activity.Plan);
        var arrays = PlanArrays.In(tape.RentIntegers(PlanArrays.Length(rule)), rule);
        tape.Backend.Routing!.Plan(rule, from, arrays);
        return arrays;
    }

    /// <summary>Indices of a plan until the next reset.</summary>
    public static Indices UploadPlan(this Tape tape, ReadOnlySpan<int> values)
    {
        using var plan = tape.During(Activity.Plan);
        return tape.Upload(values);
    }

    /// <summary>What a plan multiplies or shifts numbers by: masks, counts, draws.</summary>
    public static Tensor PlanConstant(this Tape tape, int rows, int columns, ReadOnlySpan<float> values)
    {
        using var plan = tape.During(Activity.Plan);
        return tape.Constant(rows, columns, values);
    }
}
