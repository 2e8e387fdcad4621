namespace SparseExperts.Routing;

/// <summary>
/// How many tokens of a group an expert may take. Every formula keeps the order and precision of operations that its source has: 200·1.2/4 is
/// 60 in double and 61 in DeepSpeed's float32.
/// </summary>
public static class CapacityRule
{
    /// <summary>The capacity of a call; <see cref="RoutingPlan.Unlimited"/> where nothing is dropped.</summary>
    /// <param name="loads">Requests of every (group, expert), for the formulas that look at them.</param>
    public static int Capacity(RouterCall call, ReadOnlySpan<int> loads)
    {
        var d = call.Dialect;
        int size = call.Size, experts = call.Experts;
        var factor = d.CapacityFactor;
        if (d.CapacityFormula == CapacityFormula.None || d.Selection == Selection.Batchwise && !call.Training) return RoutingPlan.Unlimited;
        var largest = 0;
        foreach (var load in loads) largest = Math.Max(largest, load);
        if (!call.Training && d.CapacityFraction is > 0 and var fraction) return (int)Math.Ceiling(fraction * size);
        if (d.CapacityFormula == CapacityFormula.UnlessZero) return d.Capacity == 0 ? 0 : RoutingPlan.Unlimited;
        if (d.Capacity is { } given) return given;
        if (d.CapacityFormula is CapacityFormula.ShareTimesFactor && factor < 0) return RoutingPlan.Unlimited;

        if (d.DropPolicy == DropPolicy.None) return largest;
        var whole = Math.Ceiling((double)size / experts);
        var capacity = d.CapacityFormula switch
        {
            CapacityFormula.Given => d.Capacity ?? throw new RoutingException($"{call.Where}: {d.Name} takes its capacity as a number; set capacity"),
            CapacityFormula.PerToken => Whole(d, size * factor / experts),
            CapacityFormula.PerChoice => Whole(d, size * d.K * factor / experts),
            CapacityFormula.ShareTimesFactor => Whole(d, (double)(size * d.K) / experts * factor),
            CapacityFormula.ShareTimesFactorSingle => Whole(d, (float)((double)size / experts) * (float)(factor * d.K)),
            CapacityFormula.FactorTimesWholeShare => Whole(d, factor * whole),
            CapacityFormula.ChoicesTimesWholeShare when factor == 0 => largest,
            CapacityFormula.ChoicesTimesWholeShare when factor < 0 => Math.Min(largest, d.K * Whole(d, -factor * whole)),
            CapacityFormula.ChoicesTimesWholeShare => d.K * Whole(d, factor * whole),
            CapacityFormula.ChoicesTimesShare or CapacityFormula.GivenOrChoicesTimesShare => d.K * (int)whole,
            CapacityFormula.ChoicesTimesCeiling => d.K * Whole(d, (double)size / experts * factor),
            CapacityFormula.FactorTimesShare => Whole(d, factor * ((double)(d.K * size) / experts)),
            CapacityFormula.WholeChoicesPerExpert => (int)Math.Ceiling(factor * size) * d.K / experts,
            CapacityFormula.FactorTimesTokens => Whole(d, factor * size / experts),
            CapacityFormula.FactorTimesAllTokens => Whole(d, factor * size),
            CapacityFormula.LargestLoad => largest,
            CapacityFormula.LingvoRaised => Lingvo(factor, size, experts),
            CapacityFormula.LingvoShuffle => size / experts * experts,
            CapacityFormula.EqualShare => Equal(call),
            _ => throw new RoutingException($"{call.Where}: unknown capacity formula {d.CapacityFormula}"),
        };
        if (d.CapacityLimit == CapacityLimit.TokensThenMinimum) capacity = Math.Min(capacity, size);
        capacity = Math.Max(capacity, d.MinCapacity);
        if (d.CapacityMultiple is > 1 and var multiple) capacity = (capacity + multiple - 1) / multiple * multiple;
        if (capacity < 0) throw new RoutingException($"{call.Where}: capacity factor {factor} gives {capacity} slots; use a factor of at least 0");
        return d.CapacityLimit == CapacityLimit.Unlimited && capacity > size ? RoutingPlan.Unlimited : capacity;
    }

    /// <summary>Whether experts are filled up to their capacity: where the library is told to, and has one.</summary>
    public static bool FillsUp(Dialect d) => d.PadToCapacity && !HasNegativeFactor(d);

    /// <summary>Whether no call of the dialect has a capacity.</summary>
    internal static bool IsUnlimited(Dialect d) =>
        d.CapacityFormula == CapacityFormula.None || HasNegativeFactor(d) && d is { CapacityFraction: not > 0, EvalCapacityFactor: null or < 0 };

    /// <summary>A negative factor is none.</summary>
    static bool HasNegativeFactor(Dialect d) => d is { CapacityFormula: CapacityFormula.ShareTimesFactor, CapacityFactor: < 0, Capacity: null };

    /// <summary>Tokens that an expert is filled up to in a group of so many: no more than those.</summary>
    public static int Filled(int capacity, int size) => Math.Min(capacity, size);

    /// <summary>What the formulas that ask for loads are shown.</summary>
    public static int[] Loads(RouterCall call, Choices choices, RouterNumbers numbers) =>
        call.Dialect is { LoadAtLastToken: true, BatchPrioritized: true } && call.Groups == 1 && call.Size > 0 && !choices.Expert.Contains(-1)
            ? choices.LoadsAtLastToken(call.Experts, Slots.Order(call, numbers, 0))
            : choices.Loads(call.Groups, call.Experts);

    /// <summary>The number that the dialect reports as its capacity, also where it exceeds the tokens and nothing can be dropped.</summary>
    public static int Reported(RouterCall call, ReadOnlySpan<int> loads)
    {
        var limit = call.Dialect.CapacityLimit == CapacityLimit.Unlimited ? CapacityLimit.None : call.Dialect.CapacityLimit;
        return Capacity(call with { Dialect = call.Dialect with { CapacityLimit = limit } }, loads);
    }

    static int Whole(Dialect d, double value) => (int)(d.CapacityRounding switch
    {
        CapacityRounding.Truncate => Math.Truncate(value),
        CapacityRounding.Round => Math.Round(value, MidpointRounding.ToEven),
        CapacityRounding.Ceiling => Math.Ceiling(value),
        _ => throw new ArgumentOutOfRangeException(nameof(d), d.CapacityRounding, "unknown capacity rounding"),
    });

    static int Lingvo(double factor, int size, int experts)
    {
        var wanted = (int)(size * factor / experts);
        return wanted == 0 ? 4 : (wanted + 3) / 4 * 4;
    }

    static int Equal(RouterCall call) => call.Size * call.K % call.Experts == 0
        ? call.Size * call.K / call.Experts
        : throw new RoutingException(
            $"{call.Where}: {call.Size} tokens with {call.K} choices cannot be shared equally among {call.Experts} experts; choose numbers that divide");
}
