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

    /// <summary>Experts of a rule that remembers which ones a token has taken: bits of a lane.</summary>
    const int MostZeroed = 32 * Lanes;

    /// <summary>Warps at most that share an expert's requests, and turns of each that are read at once, as routing.cu has them.</summary>
    const int MostSharers = 16, TurnsAhead = 8;

    /// <summary>Tokens that a block of plan_ranks compares, as routing.cu has them.</summary>
    const int RankedAtOnce = 128;

    public bool Plans(in PlanRule rule) =>
        rule.ExpertGroups <= MostGroups && rule.Experts % rule.ExpertGroups == 0 && rule.Choices <= rule.Experts
        && !(rule.ZeroesTaken && rule.Experts > MostZeroed);

    public void Plan(in PlanRule rule, in PlanInputs from, in PlanArrays to)
    {
        Check.Plan(this, rule, from, to);
        foreach (var array in (ReadOnlySpan<Indices>)[to.Expert, to.Slot, to.Fault, to.Row, to.Offsets, to.TokenOfRow, to.ChoiceOfRow, to.Asked])
            ((CudaStorage)array.Storage).IsMade = true;
        ((CudaStorage)to.Offsets.Storage).MostOfGroup = rule.MostOfExpert;
        if (rule.ByExperts)
        {
            PlanByExperts(rule, from.Ranked, to);
            return;
        }
        EachRow("plan_choices", [from.Ranked], rule.Tokens, rule.Experts, from.Bias is { } b ? Pointer(b) : default(DevicePointer), rule.Choices,
            rule.ExpertGroups, rule.ExpertGroupsKept, rule.BestOfGroup, (float)rule.LeftOut, rule.ZeroesTaken, Pointer(to.Expert), Pointer(to.Counted),
            Pointer(to.Fault), Pointer(to.TokenOfRow), Pointer(to.ChoiceOfRow), rule.Rows);
        if (rule.Later.Kind != LaterKind.All) TestLater(rule, from, to);
        Launch("plan_slots", new(rule.Groups * rule.Experts, 1, 1, Sharers(rule.Size * rule.Choices)),
        [
            Pointer(to.Expert), rule.Groups, rule.Size, rule.Experts, rule.Choices, rule.ChoiceMajor, rule.Capacity, Pointer(to.Slot), Pointer(to.Asked),
        ]);
        Launch("plan_rows", new(rule.Experts, 1, 1, Sharers(rule.Tokens * rule.Choices)),
        [
            Pointer(to.Expert), Pointer(to.Slot), Pointer(to.Asked), rule.Groups, rule.Tokens, rule.Experts, rule.Choices, rule.Capacity,
            Pointer(to.Row), Pointer(to.Offsets), Pointer(to.TokenOfRow), Pointer(to.ChoiceOfRow),
        ]);
    }

    /// <summary>Threads that share so many requests: whole warps, each of which reads eight turns ahead.</summary>
    static int Sharers(int requests) => 32 * Math.Clamp(Blocks(requests, 32 * TurnsAhead), 1, MostSharers);

    /// <summary>Takes later choices away that fail their test.</summary>
    void TestLater(in PlanRule rule, in PlanInputs from, in PlanArrays to)
    {
        var (test, scores) = (rule.Later, from.Scores ?? from.Ranked);
        Launch("plan_requests", new(Blocks(rule.Tokens, TableThreads), 1, 1, TableThreads),
        [
            rule.Tokens, rule.Choices, Pointer(scores), scores.Stride, from.Draws is { } u ? Pointer(u) : default(DevicePointer), from.Draws?.Stride ?? 0,
            Pointer(to.Counted), (int)test.Kind, Bits(test.Factor), Bits(test.Threshold), (int)test.Divisor, Bits(test.Epsilon),
            Pointer(to.Expert), Pointer(to.Slot), Pointer(to.Row),
        ]);
    }

    /// <summary>Ranks of all tokens in every column, then whom an expert serves, then each token's experts.</summary>
    void PlanByExperts(in PlanRule rule, Matrix scores, in PlanArrays to)
    {
        var columns = rule.Groups * rule.Experts;
        Launch("plan_ranks", new(Blocks(rule.Size, RankedAtOnce) * columns, 1, 1, RankedAtOnce),
            [Pointer(scores), scores.Stride, rule.Groups, rule.Size, rule.Experts, Pointer(to.Slot)]);
        var warps = new LaunchShape(Blocks(columns, WarpsOfBlock), 1, 1, 32 * WarpsOfBlock);
        Launch("plan_served", warps,
        [
            rule.Groups, rule.Size, rule.Experts, rule.Capacity, rule.SlotsByToken, Pointer(to.Slot), Pointer(to.Row), Pointer(to.Offsets), Pointer(to.Asked),
        ]);
        Launch("plan_takers", new(Blocks(rule.Tokens, TableThreads), 1, 1, TableThreads),
        [
            Pointer(scores), scores.Stride, rule.Tokens, rule.Experts, Pointer(to.Expert), Pointer(to.Slot), Pointer(to.Row), Pointer(to.Fault),
            Pointer(to.TokenOfRow), Pointer(to.ChoiceOfRow),
        ]);
        Launch("plan_firsts", warps, [rule.Groups, rule.Size, rule.Experts, Pointer(to.Expert), Pointer(to.Asked)]);
    }

    static long Bits(double value) => BitConverter.DoubleToInt64Bits(value);

    public void MoveBias(Indices offsets, double rate, Matrix factor, Matrix bias)
    {
        Check.MoveBias(this, offsets, factor, bias);
        Launch("move_bias", new(Blocks(bias.Columns, TableThreads), 1, 1, TableThreads),
            [Pointer(bias), Pointer(offsets), bias.Columns, Bits(rate), Pointer(factor)]);
    }
}
