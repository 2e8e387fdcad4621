using Xunit;

namespace SparseExperts.Conformance;

/// <summary>What the classes of laws share: the backend under test, made once for a test and all its cases.</summary>
public abstract class LawsOf<TFixture> : IDisposable where TFixture : IBackendFixture, new()
{
    protected Subject Subject { get; } = new(new TFixture());

    public void Dispose()
    {
        Subject.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>Every law on every card. A backend inherits them all: <c>public sealed class MyOpLaws : OpLaws&lt;MyFixture&gt;;</c></summary>
public abstract class OpLaws<TFixture> : LawsOf<TFixture> where TFixture : IBackendFixture, new()
{
    [Law(60)]
    public void Equals_the_scalar_definition_bit_for_bit(Recipe drawn) => DefinitionLaws.EqualsTheDefinition.Demand(Subject, drawn);

    [Theory, MemberData(nameof(Cards))]
    public void Equals_the_scalar_definition_on_edges_and_large_cases(string name)
    {
        var card = OpCards.Named(name);
        foreach (var @case in card.Edges.Concat(card.Large)) DefinitionLaws.EqualsTheDefinition.Demand(Subject, card, @case);
    }

    [Law(40)]
    public void Lies_within_the_derived_bound_of_the_double_arbiter(Recipe drawn) => DefinitionLaws.WithinTheBound.Demand(Subject, drawn);

    [Theory, MemberData(nameof(Cards))]
    public void Gives_the_documented_slope_at_a_kink(string card) => Once(DefinitionLaws.AtAKink, card);

    [Law(30, of: typeof(CalmRecipes))]
    public void Writes_stay_inside_their_views(Recipe drawn) => MemoryLaws.WritesStayInside.Demand(Subject, drawn);

    [Law(20)]
    public void Inputs_are_not_modified(Recipe drawn) => MemoryLaws.InputsAreKept.Demand(Subject, drawn);

    [Law(20, of: typeof(CalmRecipes))]
    public void Overwriting_ignores_what_was_there(Recipe drawn) => MemoryLaws.OverwritingIgnores.Demand(Subject, drawn);

    [Law(20, of: typeof(FiniteRecipes))]
    public void Accumulating_adds_to_what_was_there(Recipe drawn) => MemoryLaws.AccumulatingAdds.Demand(Subject, drawn);

    [Law(20)]
    public void May_write_over_the_source_that_the_card_names(Recipe drawn) => MemoryLaws.InPlace.Demand(Subject, drawn);

    [Law(30)]
    public void A_row_does_not_depend_on_its_batch(Recipe drawn) => InvarianceLaws.Batch.Demand(Subject, drawn);

    [Theory, MemberData(nameof(Cards))]
    public void Threads_do_not_change_the_bits(string name)
    {
        var card = OpCards.Named(name);
        foreach (var drawn in new TFixture().HasThreads ? card.Large : card.Edges.Take(1)) InvarianceLaws.Threads.Demand(Subject, card, drawn);
    }

    [Law(30)]
    public void Shards_join_to_the_bits_of_the_whole(Recipe drawn)
    {
        if (Subject.Canonical) ShardLaws.Shards.Demand(Subject, drawn);
    }

    [Law(5, of: typeof(CalmRecipes))]
    public void Products_of_a_width_that_is_cut_over_ranks_join_to_the_bits_of_the_whole(Recipe drawn)
    {
        if (Subject.Canonical) ShardLaws.Products.Demand(Subject, drawn);
    }

    [Theory, MemberData(nameof(Cards))]
    public void Edges_keep_the_laws(string name)
    {
        var card = OpCards.Named(name);
        var every = new TFixture().EveryEdge;
        Law[] all = Subject.Canonical ? [.. OnEdges, .. OnEdgesOfCanonicalBackends] : OnEdges, laws = [.. all.Where(law => law.Concerns(card))];
        foreach (var (i, edge) in card.Edges.Index())
            for (var turn = 0; turn < laws.Length; turn++)
                if ((i / 2 + turn) % every == 0) laws[turn].Demand(Subject, card, edge);      // edges come in pairs
    }

    [Theory, MemberData(nameof(Cards))]
    public void Wrong_calls_fail_with_the_documented_line(string card) => Once(CallLaws.WrongCalls, card);

    [Law(20)]
    public void An_index_out_of_range_means_none_and_is_reported_once(Recipe drawn) => CallLaws.WrongIndices.Demand(Subject, drawn);

    [Theory, MemberData(nameof(Cards))]
    public void A_format_that_the_op_does_not_take_is_refused(string card)
    {
        if (FormatLaws.Refused.Concerns(OpCards.Named(card))) Once(FormatLaws.Refused, card);
    }

    [Fact]
    public void To_a_format_and_back_rounds()
    {
        var cast = OpCards.Named("Cast");
        foreach (var @case in cast.Edges.Concat(cast.Large)) FormatLaws.ThereAndBack.Demand(Subject, cast, @case);
    }

    [Theory, MemberData(nameof(Cards))]
    public void Empty_input_is_fine(string card) => Once(CallLaws.EmptyInput, card);

    public static TheoryData<string> Cards => [.. OpCards.All.Select(card => card.Name)];

    static readonly Law[] OnEdges =
    [
        DefinitionLaws.WithinTheBound, MemoryLaws.WritesStayInside, MemoryLaws.InputsAreKept, MemoryLaws.OverwritingIgnores, MemoryLaws.AccumulatingAdds,
        MemoryLaws.InPlace, InvarianceLaws.Batch,
    ];

    static readonly Law[] OnEdgesOfCanonicalBackends = [ShardLaws.Shards, ShardLaws.Products];

    void Once(Law law, string name)
    {
        var card = OpCards.Named(name);
        law.Demand(Subject, card, card.At(new Draw(new Random(1)), new(3, 4, 5)));
    }
}

/// <summary>The gradient law on every card, for a backend that computes in double: differences of floats would only show rounding.</summary>
public abstract class GradientLaws<TFixture> : LawsOf<TFixture> where TFixture : IBackendFixture, new()
{
    [Law(15, endSize: 6, of: typeof(CalmRecipes))]
    public void Gradients_match_central_differences(Recipe drawn) => GradientLaw.Gradients.Demand(Subject, drawn);
}
