using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// A plan as layers take it from a router: its sizes, and where its indices are. The host's plans are known to the host; what a backend planned stays
/// there, and <see cref="Host"/> reads it when somebody wants to see it: statistics, reports, a checker.
/// </summary>
public sealed class PlanHandle
{
    readonly Func<RoutingPlan> _read;
    readonly Action _refuseFaults;
    RoutingPlan? _host;

    PlanHandle(Func<RoutingPlan> read, Action refuseFaults) => (_read, _refuseFaults) = (read, refuseFaults);

    /// <summary>A plan of the host.</summary>
    public PlanHandle(RoutingPlan plan) : this(() => plan, () => { })
    {
        _host = plan;
        (Experts, Groups, Choices, Capacity, Tokens, Rows, SharesSlots) =
            (plan.Experts, plan.Groups, plan.Choices, plan.Capacity, plan.Tokens, plan.Rows, plan.SharesSlots);
    }

    public static implicit operator PlanHandle(RoutingPlan plan) => new(plan);

    /// <summary>What <paramref name="tape"/>'s backend plans by <paramref name="rule"/>, until the tape's next reset.</summary>
    /// <param name="refuse">Is given the faults, the first expert with NaN of every token or −1, and throws where it finds one.</param>
    internal static PlanHandle Make(Tape tape, PlanRule rule, PlanInputs from, Action<int[]> refuse)
    {
        var arrays = tape.PlanOnBackend(rule, from);
        var made = tape.Resets;
        int[] Read(Indices array) => tape.Resets == made
            ? tape.ReadPlan(array)
            : throw new InvalidOperationException("the plan that the backend made is gone with the tape's reset; read it before");
        void Refuse() => refuse(Read(arrays.Fault));
        tape.Watch(Refuse);
        return new(() => OfToken(rule, Read(arrays.Expert), Read(arrays.Slot)), Refuse)
        {
            Experts = rule.Experts,
            Groups = rule.Groups,
            Choices = rule.Choices,
            Capacity = rule.Capacity,
            Tokens = rule.Tokens,
            Rows = rule.Rows,
            OnBackend = arrays,
        };
    }

    /// <summary>A plan of the host that is made if somebody looks at it.</summary>
    internal static PlanHandle WhenAsked(int experts, int groups, int choices, int tokens, Func<RoutingPlan> make) => new(make, () => { })
    {
        Experts = experts,
        Groups = groups,
        Choices = choices,
        Capacity = RoutingPlan.Unlimited,
        Tokens = tokens,
        Rows = tokens * choices,
    };

    public int Experts { get; private init; }
    public int Groups { get; private init; }

    /// <summary>Choices a token K.</summary>
    public int Choices { get; private init; }
    public int Capacity { get; private init; }
    public int Tokens { get; private init; }

    /// <summary>Rows of the dispatched matrix; of a backend's plan the most that there can be, those that carry nobody behind the others.</summary>
    public int Rows { get; private init; }

    /// <summary>See <see cref="RoutingPlan.SharesSlots"/>. Backends do not plan so.</summary>
    public bool SharesSlots { get; private init; }

    /// <summary>Where the backend's plan is; null where the host planned.</summary>
    public PlanArrays? OnBackend { get; private init; }

    /// <summary>
    /// The plan in integers; a read that waits where the backend planned. What the host's engine refuses before it plans is refused here, and by
    /// <see cref="Tape.CheckFaults"/> where nobody reads the plan.
    /// </summary>
    public RoutingPlan Host
    {
        get
        {
            if (_host is not null) return _host;
            _refuseFaults();
            return _host = _read();
        }
    }

    /// <summary>From all first choices, then all second ones, to token by token.</summary>
    static RoutingPlan OfToken(in PlanRule rule, int[] expert, int[] slot)
    {
        int[] experts = new int[expert.Length], slots = new int[expert.Length];
        for (var i = 0; i < expert.Length; i++)
        {
            var from = i % rule.Choices * rule.Tokens + i / rule.Choices;
            (experts[i], slots[i]) = (expert[from], slot[from]);
        }
        return new(rule.Experts, rule.Groups, rule.Choices, rule.Capacity, experts, slots);
    }
}
