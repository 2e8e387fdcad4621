namespace SparseExperts;

/// <summary>
/// A rule by which tokens choose experts and experts serve tokens, in numbers alone: what a backend needs to know to make a <see cref="RoutingPlan"/> itself.
/// T = G·S tokens in G groups of S. A token takes the K experts with the largest numbers, best first, equals by the lower index; an expert serves the first C
/// requests of each group, and requests count whether they are served or not. Or experts take tokens (<see cref="ByExperts"/>).
/// </summary>
/// <param name="Groups">Groups of tokens G.</param>
/// <param name="Size">Tokens of a group S.</param>
/// <param name="Experts">Experts E.</param>
/// <param name="Choices">Choices a token K, at most E; where experts choose, E.</param>
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

    /// <summary>The number of an expert that the token has taken becomes 0 for its later choices; else the expert is out.</summary>
    public bool ZeroesTaken { get; init; }

    /// <summary>Which later choices become requests.</summary>
    public LaterTest Later { get; init; }

    /// <summary>
    /// Every expert takes the C ≤ S tokens of a group with the largest numbers in its column, equals by the lower token. A token's choices are the experts
    /// that took it in ascending order; the rest of its K = E choices are none.
    /// </summary>
    public bool ByExperts { get; init; }

    /// <summary>Where experts choose, slots go to the tokens that were taken in ascending order; else best first.</summary>
    public bool SlotsByToken { get; init; }

    public int Tokens => Groups * Size;

    /// <summary>The most rows that the dispatched matrix can have: T·K, or G·E·C where that is less.</summary>
    public int Rows => (int)Math.Min((long)Tokens * Choices, Capacity == RoutingPlan.Unlimited ? int.MaxValue : (long)Groups * Experts * Capacity);

    /// <summary>The most rows that one expert can have.</summary>
    public int MostOfExpert => (int)Math.Min((long)Tokens * MostOfToken, Capacity == RoutingPlan.Unlimited ? int.MaxValue : (long)Groups * Capacity);

    /// <summary>Whether a request can be refused.</summary>
    public bool Drops => Capacity < (long)Size * MostOfToken;

    /// <summary>How often a token can choose the same expert.</summary>
    int MostOfToken => ZeroesTaken ? Choices : 1;
}

/// <summary>By what a later choice becomes a request; the first one always does.</summary>
public enum LaterKind
{
    /// <summary>All do.</summary>
    All,

    /// <summary>None does.</summary>
    None,

    /// <summary>Those with factor·g &gt; threshold.</summary>
    Above,

    /// <summary>Those with factor·g − u &gt; 0, u its draw.</summary>
    AboveDraw,

    /// <summary>Those with factor·g − u ≥ 0.</summary>
    NotBelowDraw,
}

/// <summary>What the gates of a token are divided by for the test.</summary>
public enum LaterDivisor
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Their sum, or 1 where it is not positive.</summary>
    SumOrOne,

    /// <summary>Their sum and epsilon.</summary>
    SumAndEpsilon,

    /// <summary>Their sum, epsilon at least.</summary>
    SumOrEpsilon,
}

/// <summary>
/// The test of later choices, in double: g is the score of the choice's expert, 0 where the token has it already and its number became 0, over the divisor,
/// which sums the choices in their order.
/// </summary>
public readonly record struct LaterTest(LaterKind Kind, double Factor = 1, double Threshold = 0, LaterDivisor Divisor = LaterDivisor.None, double Epsilon = 0)
{
    public bool Draws => Kind is LaterKind.AboveDraw or LaterKind.NotBelowDraw;
}

/// <summary>What a plan is made from.</summary>
/// <param name="Ranked">What is ranked [T, E].</param>
/// <param name="Bias">With it the float32 sum of both is ranked [1, E].</param>
/// <param name="Scores">What the test of later choices looks at [T, E]; where it is left out, what is ranked.</param>
/// <param name="Draws">Its draws [T, K].</param>
public readonly record struct PlanInputs(Matrix Ranked, Matrix? Bias = null, Matrix? Scores = null, Matrix? Draws = null);

/// <summary>
/// Where a plan goes. Arrays of choices hold all first choices, then all second ones: element j·T + t. Rows are the kept choices by expert and then by token,
/// as in a <see cref="RoutingPlan"/>.
/// </summary>
/// <param name="Expert">The expert of every choice, −1 where it makes no request [K·T].</param>
/// <param name="Slot">Its slot, or <see cref="RoutingPlan.Dropped"/> [K·T].</param>
/// <param name="Fault">The first expert whose number for the token is NaN, or −1 [T]. A plan with a fault means nothing.</param>
/// <param name="Row">The row of every choice, or <see cref="RoutingPlan.Dropped"/> [K·T].</param>
/// <param name="Offsets">Rows of expert e are o_e … o_{e+1} − 1 [E + 1].</param>
/// <param name="TokenOfRow">The token of every row, −1 behind the last [<see cref="PlanRule.Rows"/>].</param>
/// <param name="ChoiceOfRow">The choice of every row as t·K + j, −1 behind the last [<see cref="PlanRule.Rows"/>].</param>
/// <param name="Asked">First choices of every (group, expert), then all of them, dropped or not [2·G·E].</param>
/// <param name="Counted">The expert of every choice whose score counts, whether it makes a request or not; −1 where its number became 0 [K·T].</param>
public readonly record struct PlanArrays(Indices Expert, Indices Slot, Indices Fault, Indices Row, Indices Offsets, Indices TokenOfRow, Indices ChoiceOfRow,
    Indices Asked, Indices Counted)
{
    /// <summary>Integers of all arrays together.</summary>
    public static long Length(in PlanRule rule) =>
        ((CountsApart(rule) ? 4L : 3L) * rule.Choices + 1) * rule.Tokens + rule.Experts + 1 + 2L * rule.Rows + 2L * rule.Groups * rule.Experts;

    /// <summary>Whether choices that count need not be those that are requests.</summary>
    static bool CountsApart(in PlanRule rule) => rule.ZeroesTaken || rule.Later.Kind != LaterKind.All;

    /// <summary>The arrays one behind the other, in the order in which they are named.</summary>
    public static PlanArrays In(Storage storage, in PlanRule rule)
    {
        long next = 0;
        Indices Take(int count)
        {
            next += count;
            return new(storage, next - count, count);
        }
        var choices = rule.Choices * rule.Tokens;
        var expert = Take(choices);
        return new(expert, Take(choices), Take(rule.Tokens), Take(choices), Take(rule.Experts + 1), Take(rule.Rows), Take(rule.Rows),
            Take(2 * rule.Groups * rule.Experts), CountsApart(rule) ? Take(choices) : expert);
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

    /// <summary>A plan from numbers.</summary>
    void Plan(in PlanRule rule, in PlanInputs from, in PlanArrays to);

    /// <summary>
    /// b_e ← b_e + rate·sign(n̄ − n_e), n_e the rows of expert e and n̄ their mean; added in double and rounded once (DeepSeek-V3, section 2.1.2).
    /// <paramref name="bias"/> is [1, E], <paramref name="offsets"/> has E + 1 entries. Where the step's [1, 1] <paramref name="factor"/>
    /// (<see cref="IOptimizers.StepFactor"/>) is not finite, the bias stays.
    /// </summary>
    void MoveBias(Indices offsets, double rate, Matrix factor, Matrix bias);
}
