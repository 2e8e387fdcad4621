namespace SparseExperts.Conformance;

/// <summary>
/// A sentence that is true of every backend. <paramref name="Find"/> gives what contradicts it for one case, or null. The name is that
/// of the test which demands it.
/// </summary>
public sealed record Law(string Name, Func<Subject, OpCard, OpCase, string?> Find)
{
    public void Demand(Subject subject, OpCard card, OpCase @case)
    {
        if (Find(subject, card, @case) is { } detail) throw new LawViolation(this, card, @case, detail);
    }

    public override string ToString() => Name;
}

/// <summary>A backend broke a law: which law, on which card and case, and what was seen.</summary>
public sealed class LawViolation(Law law, OpCard card, OpCase @case, string detail) : Exception($"{law.Name}: {card.Name}: {detail}, in {@case}")
{
    public Law Law => law;
    public OpCard Card => card;
}
