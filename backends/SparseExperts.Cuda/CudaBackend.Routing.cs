namespace SparseExperts.Cuda;

/// <summary>
/// Plans on the device, so that nobody waits for the router's numbers: choices a token, slots an expert and group, rows an expert. All of it is integers,
/// which no order of threads changes.
/// </summary>
public sealed partial class CudaBackend : IRouting
{
    /// <summary>Groups of experts that a block of threads has room for, and warps of a block, as routing.cu has them.</summary>
    const int MostGroups = 64, WarpsOfBlock = 4;

    public IRouting? Routing => this;

    public bool Plans(in PlanRule rule) => rule.ExpertGroups <= MostGroups && rule.Experts % rule.ExpertGroups == 0 && rule.Choices <= rule.Experts;

    public void Plan(in PlanRule rule, Matrix scores, Matrix? bias, in PlanArrays to)
    {
        Check.Plan(this, rule, scores, bias, to);
        foreach (var array in (ReadOnlySpan<Indices>)[to.Expert, to.Slot, to.Fault, to.Row, to.Offsets, to.TokenOfRow, to.ChoiceOfRow, to.Asked])
            ((CudaStorage)array.Storage).IsMade = true;
        ((CudaStorage)to.Offsets.Storage).MostOfGroup = rule.MostOfExpert;
        EachRow("plan_choices", [scores], rule.Tokens, rule.Experts, bias is { } b ? Pointer(b) : default(DevicePointer), rule.Choices, rule.ExpertGroups,
            rule.ExpertGroupsKept, rule.BestOfGroup, (float)rule.LeftOut, Pointer(to.Expert), Pointer(to.Fault),
            Pointer(to.TokenOfRow), Pointer(to.ChoiceOfRow), rule.Rows);
        Launch("plan_slots", new(Blocks(rule.Groups * rule.Experts, WarpsOfBlock), 1, 1, 32 * WarpsOfBlock),
        [
            Pointer(to.Expert), rule.Groups, rule.Size, rule.Experts, rule.Choices, rule.ChoiceMajor, rule.Capacity, Pointer(to.Slot), Pointer(to.Asked),
        ]);
        Launch("plan_rows", new(Blocks(rule.Experts, WarpsOfBlock), 1, 1, 32 * WarpsOfBlock),
        [
            Pointer(to.Expert), Pointer(to.Slot), Pointer(to.Asked), rule.Groups, rule.Tokens, rule.Experts, rule.Choices, rule.Capacity,
            Pointer(to.Row), Pointer(to.Offsets), Pointer(to.TokenOfRow), Pointer(to.ChoiceOfRow),
        ]);
    }

    public void MoveBias(Indices offsets, double rate, Matrix bias)
    {
        Check.MoveBias(this, offsets, bias);
        Launch("move_bias", new(Blocks(bias.Columns, TableThreads), 1, 1, TableThreads),
            [Pointer(bias), Pointer(offsets), bias.Columns, BitConverter.DoubleToInt64Bits(rate)]);
    }
}
