namespace SparseExperts.Conformance;

/// <summary>
/// A sentence that is true of every backend. <paramref name="Find"/> gives what contradicts it for one case, or null. The name is that
/// of the test which demands it.
/// </summary>
public sealed record Law(string Name, Func<Subject, OpCard, OpCase, string?> Find)
{
    /// <summary>The cards that the law says something about.</summary>
    public Func<OpCard, bool> Concerns { get; init; } = _ => true;

    public IReadOnlyList<OpCard> Cards => field ??= [.. OpCards.All.Where(Concerns)];

    public void Demand(Subject subject, OpCard card, OpCase @case)
    {
        if (Find(subject, card, @case) is { } detail) throw new LawViolation(this, card, @case, detail);
    }

    /// <summary>Demands the law of the drawn case of the cards that it concerns, or of as many as the subject has time for.</summary>
    public void Demand(Subject subject, Recipe drawn)
    {
        foreach (var (i, card) in drawn.Among(Cards).Index())
            if (drawn.Card is not null || (i + drawn.Seed % subject.EveryCard) % subject.EveryCard == 0) Demand(subject, card, drawn.For(card));
    }

    public override string ToString() => Name;
}

/// <summary>A backend broke a law: which law, on which card and case, and what was seen.</summary>
public sealed class LawViolation(Law law, OpCard card, OpCase @case, string detail) : Exception($"{law.Name}: {card.Name}: {detail}, in {@case}")
{
    public Law Law => law;
    public OpCard Card => card;
}
