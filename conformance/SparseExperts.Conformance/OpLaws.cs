using Xunit;

namespace SparseExperts.Conformance;

/// <summary>Every law on every card. A backend inherits them all: <c>public sealed class MyOpLaws : OpLaws&lt;MyFixture&gt;;</c></summary>
public abstract class OpLaws<TFixture> where TFixture : IBackendFixture, new()
{
    static readonly Temper[] Any = Enum.GetValues<Temper>();

    public static TheoryData<string> Cards => [.. OpCards.All.Select(card => card.Name)];

    [Theory, MemberData(nameof(Cards))]
    public void Equals_the_scalar_definition_bit_for_bit(string card) => Hold(DefinitionLaws.EqualsTheDefinition, card, Any, tests: 60, large: true);

    [Theory, MemberData(nameof(Cards))]
    public void Lies_within_the_derived_bound_of_the_double_arbiter(string card) => Hold(DefinitionLaws.WithinTheBound, card, Any, tests: 40);

    [Theory, MemberData(nameof(Cards))]
    public void Gives_the_documented_slope_at_a_kink(string card) => Once(DefinitionLaws.AtAKink, card);

    [Theory, MemberData(nameof(Cards))]
    public void Writes_stay_inside_their_views(string card) => Hold(MemoryLaws.WritesStayInside, card, [Temper.Calm], tests: 30);

    [Theory, MemberData(nameof(Cards))]
    public void Inputs_are_not_modified(string card) => Hold(MemoryLaws.InputsAreKept, card, Any, tests: 20);

    [Theory, MemberData(nameof(Cards))]
    public void Overwriting_ignores_what_was_there(string card) => Hold(MemoryLaws.OverwritingIgnores, card, [Temper.Calm], tests: 20);

    [Theory, MemberData(nameof(Cards))]
    public void Accumulating_adds_to_what_was_there(string card) => Hold(MemoryLaws.AccumulatingAdds, card, [Temper.Calm, Temper.Wide], tests: 20);

    [Theory, MemberData(nameof(Cards))]
    public void May_write_over_the_source_that_the_card_names(string card) => Hold(MemoryLaws.InPlace, card, Any, tests: 20);

    [Theory, MemberData(nameof(Cards))]
    public void Threads_do_not_change_the_bits(string name)
    {
        var card = OpCards.Named(name);
        using var subject = new Subject(new TFixture());
        foreach (var large in card.Large) InvarianceLaws.Threads.Demand(subject, card, large);
    }

    [Theory, MemberData(nameof(Cards))]
    public void A_row_does_not_depend_on_its_batch(string card) => Hold(InvarianceLaws.Batch, card, Any, tests: 30);

    public static TheoryData<string> CardsOverTokens => [.. OpCards.All.Where(card => card.Edges.Any(edge => edge.Sequence > 0)).Select(card => card.Name)];

    [Theory, MemberData(nameof(CardsOverTokens))]
    public void Shards_join_to_the_bits_of_the_whole(string name)
    {
        using var subject = new Subject(new TFixture());
        if (subject.Canonical) Hold(ShardLaws.Shards, name, Any, tests: 30);
    }

    public static TheoryData<string> Products => [.. OpCards.All.Select(card => card.Name).Where(name => name.StartsWith("Gemm A", StringComparison.Ordinal))];

    [Theory, MemberData(nameof(Products))]
    public void Products_of_a_width_that_is_cut_over_ranks_join_to_the_bits_of_the_whole(string name)
    {
        using var subject = new Subject(new TFixture());
        if (subject.Canonical) Hold(ShardLaws.Products, name, [Temper.Calm], tests: 5);
    }

    [Theory, MemberData(nameof(Cards))]
    public void Wrong_calls_fail_with_the_documented_line(string card) => Once(CallLaws.WrongCalls, card);

    [Theory, MemberData(nameof(Cards))]
    public void Empty_input_is_fine(string card) => Once(CallLaws.EmptyInput, card);

    static void Hold(Law law, string name, Temper[] tempers, int tests, bool large = false)
    {
        var card = OpCards.Named(name);
        using var subject = new Subject(new TFixture());
        Examination.Of(law, subject, card, tempers, tests, large);
    }

    static void Once(Law law, string name)
    {
        var card = OpCards.Named(name);
        using var subject = new Subject(new TFixture());
        law.Demand(subject, card, card.At(new Draw(new Random(1)), new(3, 4, 5)));
    }
}

/// <summary>The gradient law on every card, for a backend that computes in double: differences of floats would only show rounding.</summary>
public abstract class GradientLaws<TFixture> where TFixture : IBackendFixture, new()
{
    public static TheoryData<string> Cards => [.. OpCards.All.Where(card => card.Backward is not null).Select(card => card.Name)];

    [Theory, MemberData(nameof(Cards))]
    public void Gradients_match_central_differences(string name)
    {
        var card = OpCards.Named(name);
        using var subject = new Subject(new TFixture());
        ForAll.Holds($"{GradientLaw.Gradients}.{name}", Recipe.For(card, Temper.Calm), recipe => GradientLaw.Gradients.Demand(subject, card, recipe.Case),
            recipe => recipe.Smaller(), tests: 15, maxSize: 6);
    }
}

/// <summary>A law against a card: its edges first, then random cases that shrink.</summary>
public static class Examination
{
    public static void Of(Law law, Subject subject, OpCard card, Temper[] tempers, int tests, bool large)
    {
        foreach (var edge in card.Edges) law.Demand(subject, card, edge);
        if (large)
            foreach (var wide in card.Large) law.Demand(subject, card, wide);
        ForAll.Holds($"{law}.{card}", Recipe.For(card, tempers), recipe => law.Demand(subject, card, recipe.Case),
            recipe => recipe.Smaller(), tests, maxSize: 40);
    }
}
