namespace SparseExperts.Models;

/// <summary>
/// How often the tokens of a growing text asked each expert of one sparse layer. A router that looks at its tokens one by one gives earlier tokens
/// what they had, as long as nobody in the whole text is dropped; <see cref="Holds"/> says that this is so.
/// </summary>
sealed class RoutesSoFar(int experts)
{
    public int[] Requests { get; } = new int[experts];
    public int Tokens { get; private set; }
    public bool Holds { get; set; } = true;

    public void Add(RoutingPlan plan)
    {
        Tokens += plan.Tokens;
        foreach (var e in plan.Expert)
            if (e >= 0) Requests[e]++;
    }

    public void Clear()
    {
        Array.Clear(Requests);
        (Tokens, Holds) = (0, true);
    }
}
