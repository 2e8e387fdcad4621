using System.Globalization;

namespace SparseExperts.Routing;

/// <summary>
/// Steps that may still be taken for a call, about a multiplication each. Iterative solvers spend it beside the bounds of their own, so that
/// whoever asks for many calls, or for one of unknown origin, knows when it ends; it counts instead of timing, so that it ends alike everywhere.
/// </summary>
public sealed class Effort(long limit = long.MaxValue)
{
    public long Limit { get; } = limit;
    public long Spent { get; private set; }
    public long Left => Limit - Spent;

    /// <summary>False where these steps are more than is left.</summary>
    public bool TrySpend(long steps)
    {
        if (steps > Left) return false;
        Spent += steps;
        return true;
    }

    /// <exception cref="RoutingException">The solver has not converged within the effort.</exception>
    public void Spend(long steps, string where, string solver)
    {
        if (TrySpend(steps)) return;
        var limit = Limit.ToString("0.#E0", CultureInfo.InvariantCulture);
        throw new RoutingException(
            $"{where}: {solver} did not converge within {limit} steps, all that this call may take; look for router scores over many magnitudes");
    }
}
