namespace SparseExperts;

/// <summary>
/// A rule by which tokens choose experts and experts serve tokens, in numbers alone: what a backend needs to know to make a <see cref="RoutingPlan"/> itself.
/// T = G·S tokens in G groups of S. A token takes the K experts with the largest numbers, best first, equals by the lower index; an expert serves the first C
/// requests of each group, and requests count whether they are served or not.
/// </summary>
/// <param name="Groups">Groups of tokens G.</param>
/// <param name="Size">Tokens of a group S.</param>
/// <param name="Experts">Experts E.</param>
/// <param name="Choices">Choices a token K, at most E.</param>
/// <param name="Capacity">Slots C of an expert in a group, or <see cref="RoutingPlan.Unlimited"/>.</param>
public readonly record struct PlanRule(int Groups, int Size, int Experts, int Choices, int Capacity)
{
    /// <summary>All first choices of a group are served before the second ones; else token by token.</summary>
    public bool ChoiceMajor { get; init; }

    /// <summary>Contiguous groups of E / ExpertGroups experts, of which a token keeps the best: equals by the lower index.</summary>
    public int ExpertGroups { get; init; } = 1;

    /// <summary>Groups of experts that a token keeps; all of them where there is no limit.</summary>
    public int ExpertGroupsKept { get; init; } = 1;

    /// <summary>A group of experts is ranked by the sum of so many of its largest numbers, best first, in float32.</summary>
    public int BestOfGroup { get; init; } = 1;

    /// <summary>The number of every expert in a group that is not kept: 0 or −∞.</summary>
    public double LeftOut { get; init; }

    public int Tokens => Groups * Size;

    /// <summary>The most rows that the dispatched matrix can have: T·K, or G·E·C where that is less.</summary>
    public int Rows => (int)Math.Min((long)Tokens * Choices, Capacity == RoutingPlan.Unlimited ? int.MaxValue : (long)Groups * Experts * Capacity);

    /// <summary>The most rows that one expert can have.</summary>
    public int MostOfExpert => (int)Math.Min(Tokens, Capacity == RoutingPlan.Unlimited ? int.MaxValue : (long)Groups * Capacity);

    /// <summary>Whether a request can be refused.</summary>
    public bool Drops => Capacity < Size;
}

/// <summary>
/// Where a plan goes. Arrays of choices hold all first choices, then all second ones: element j·T + t. Rows are the kept choices by expert and then by token,
/// as in a <see cref="RoutingPlan"/>.
/// </summary>
/// <param name="Expert">The expert of every choice [K·T].</param>
/// <param name="Slot">Its slot, or <see cref="RoutingPlan.Dropped"/> [K·T].</param>
/// <param name="Fault">The first expert whose number for the token is NaN, or −1 [T]. A plan with a fault means nothing.</param>
/// <param name="Row">The row of every choice, or <see cref="RoutingPlan.Dropped"/> [K·T].</param>
/// <param name="Offsets">Rows of expert e are o_e … o_{e+1} − 1 [E + 1].</param>
/// <param name="TokenOfRow">The token of every row, −1 behind the last [<see cref="PlanRule.Rows"/>].</param>
/// <param name="ChoiceOfRow">The choice of every row as t·K + j, −1 behind the last [<see cref="PlanRule.Rows"/>].</param>
/// <param name="Asked">First choices of every (group, expert), then all of them, dropped or not [2·G·E].</param>
public readonly record struct PlanArrays(
    Indices Expert, Indices Slot, Indices Fault, Indices Row, Indices Offsets, Indices TokenOfRow, Indices ChoiceOfRow, Indices Asked)
{
    /// <summary>Integers of all arrays together.</summary>
    public static long Length(in PlanRule rule) =>
        (3L * rule.Choices + 1) * rule.Tokens + rule.Experts + 1 + 2L * rule.Rows + 2L * rule.Groups * rule.Experts;

    /// <summary>The arrays one behind the other, in the order in which they are named.</summary>
    public static PlanArrays In(Storage storage, in PlanRule rule)
    {
        long next = 0;
        Indices Take(int count)
        {
            next += count;
            return new(storage, next - count, count);
        }
        int choices = rule.Choices * rule.Tokens;
        return new(Take(choices), Take(choices), Take(rule.Tokens), Take(choices), Take(rule.Experts + 1), Take(rule.Rows), Take(rule.Rows),
            Take(2 * rule.Groups * rule.Experts));
    }

    /// <summary>Choice <paramref name="choice"/> of every token in one of the arrays of choices.</summary>
    public static Indices Of(Indices array, int choice, int tokens) => new(array.Storage, array.Offset + (long)choice * tokens, tokens);
}

/// <summary>
/// Planning on the backend, so that a training step need not wait for the host. A backend may offer it (<see cref="IBackend.Routing"/>); where it does not, or
/// not for a rule, the host's engine plans, whose integers define these (<c>PlanLaws</c>).
/// </summary>
public interface IRouting
{
    /// <summary>Whether this backend plans by that rule.</summary>
    bool Plans(in PlanRule rule);

    /// <summary>A plan from numbers [T, E]; with <paramref name="bias"/> [1, E] they are ranked by the float32 sum of both.</summary>
    void Plan(in PlanRule rule, Matrix scores, Matrix? bias, in PlanArrays to);

    /// <summary>
    /// b_e ← b_e + rate·sign(n̄ − n_e), n_e the rows of expert e and n̄ their mean; added in double and rounded once (DeepSeek-V3, section 2.1.2).
    /// <paramref name="bias"/> is [1, E], <paramref name="offsets"/> has E + 1 entries.
    /// </summary>
    void MoveBias(Indices offsets, double rate, Matrix bias);
}
