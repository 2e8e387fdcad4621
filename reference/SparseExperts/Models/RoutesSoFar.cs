using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>
/// What the tokens of a growing text asked for in one sparse layer, and who got a slot. A longer text has another capacity, and later requests can come
/// before earlier ones, so that a token may get a slot, or lose it, when others follow: what was computed from there on is void. Slots are those that the
/// whole text gives, so that nothing else is.
/// </summary>
/// <param name="dialect">One that <see cref="Dialect.RoutesAlone"/>, with a capacity.</param>
sealed class RoutesSoFar(Dialect dialect, int experts, string where) : Substitution
{
    readonly List<int> _expert = [];
    readonly List<bool> _kept = [];
    bool _isKnown;
    int _k, _total;

    int Tokens => _k == 0 ? 0 : _expert.Count / _k;

    /// <summary>Tokens from the start that the text, as it was routed last, serves as they were served.</summary>
    public int Unchanged { get; private set; }

    /// <summary>
    /// A text of <paramref name="total"/> tokens is about to be computed; sets <see cref="Unchanged"/> as far as later requests do not matter.
    /// </summary>
    public void Begin(int total)
    {
        _total = total;
        Unchanged = _isKnown && IsOneGroup() ? Same(Assign([.. _expert])) : 0;
    }

    /// <summary>Forgets all but the first tokens.</summary>
    public void Cut(int tokens)
    {
        var kept = Math.Min(_expert.Count, tokens * _k);
        _expert.RemoveRange(kept, _expert.Count - kept);
        _kept.RemoveRange(kept, _kept.Count - kept);
        _isKnown &= tokens > 0;
    }

    public override int Capacity(RouterNumbers numbers, Choices choices, Func<int> compute) => Tokens == 0 ? compute() : RoutingPlan.Unlimited;

    /// <summary>The part of the text's plan that belongs to the tokens that follow.</summary>
    public override RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign)
    {
        var (more, before) = (decided.Choices, _expert.Count);
        RoutingPlan plan;
        if (Tokens == 0)
        {
            (plan, Unchanged) = (assign(), 0);
            (_isKnown, _k) = (IsOneGroup() && more.Slot.Length == 0, more.K);
            if (!_isKnown) return plan;
        }
        else
        {
            if (more.K != _k) throw new RoutingException($"{where}: {more.K} choices a token after {_k}; a text is continued with as many");
            plan = Assign([.. _expert, .. more.Expert]);
            Unchanged = Same(plan);
        }
        _expert.AddRange(more.Expert);
        _kept.AddRange(plan.Slot.Skip(before).Select(s => s != RoutingPlan.Dropped));
        return before == 0 ? plan : new(experts, 1, _k, RoutingPlan.Unlimited, more.Expert, plan.Slot[before..]);
    }

    /// <summary>Slots of the first requests of the text.</summary>
    RoutingPlan Assign(int[] expert)
    {
        var choices = new Choices { K = _k, Candidate = expert, Expert = expert };
        var text = new RouterCall { Dialect = dialect, Groups = 1, Size = _total, Experts = experts, Training = false, Where = where };
        var capacity = CapacityRule.Capacity(text, choices.Loads(1, experts));
        var asked = text with { Size = expert.Length / _k };
        return Slots.Assign(asked, choices, capacity, RouterNumbers.Nothing(asked), default);
    }

    /// <summary>Tokens before the first that the plan serves otherwise.</summary>
    int Same(RoutingPlan plan)
    {
        for (var i = 0; i < _kept.Count; i++)
            if (plan.Slot[i] != RoutingPlan.Dropped != _kept[i]) return i / _k;
        return Tokens;
    }

    bool IsOneGroup() => Grouping.Padding(dialect, 1, _total, experts) == (1, _total) && Grouping.Count(dialect, _total, 1, experts) == 1;
}
