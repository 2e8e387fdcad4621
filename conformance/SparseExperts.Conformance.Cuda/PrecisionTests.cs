using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

public sealed class Float32ProductLaws : ProductLaws<Float32Fixture>;
public sealed class Tf32ProductLaws : ProductLaws<Tf32Fixture>;
public sealed class BFloat16ProductLaws : ProductLaws<BFloat16Fixture>;

/// <summary>What a backend must keep whose products are cuBLAS's: the cards of linear algebra within the bound of the precision that it declares.</summary>
public abstract class ProductLaws<TFixture> : LawsOf<TFixture> where TFixture : CublasFixture, new()
{
    static readonly Law[] OfMemory = [MemoryLaws.WritesStayInside, MemoryLaws.InputsAreKept, MemoryLaws.OverwritingIgnores, MemoryLaws.AccumulatingAdds];

    [Theory, MemberData(nameof(Products))]
    public void Lies_within_the_bound_of_its_precision(string name)
    {
        var card = OpCards.Named(name);
        foreach (var @case in card.Edges.Concat(card.Large)) DefinitionLaws.WithinTheBound.Demand(Subject, card, @case);
    }

    [Theory, MemberData(nameof(Products))]
    public void Keeps_the_laws_of_memory_and_of_calls(string name)
    {
        var card = OpCards.Named(name);
        for (var i = 0; i < OfMemory.Length; i++)
            foreach (var edge in card.Edges.Where((_, at) => (at / 2 + i) % 4 == 0)) OfMemory[i].Demand(Subject, card, edge);
        CallLaws.WrongCalls.Demand(Subject, card, card.At(new Draw(new Random(1)), new(3, 4, 5)));
        CallLaws.EmptyInput.Demand(Subject, card, card.At(new Draw(new Random(1)), new(3, 4, 5)));
    }

    [Theory, MemberData(nameof(Products))]
    public void Exactly_gives_the_definition_s_bits(string name)
    {
        var card = OpCards.Named(name);
        using var scope = Subject.Backend.Exactly();
        using (Subject.Backend.Exactly()) { }                       // scopes nest
        foreach (var large in card.Large) Assert.Null(DefinitionLaws.EqualsTheDefinition.Find(new Subject(_ => Subject.Backend, canonical: true), card, large));
    }

    [Fact]
    public void Attention_keeps_the_definition_s_bits()
    {
        var card = OpCards.Named("Attention causal");
        foreach (var large in card.Large) Assert.Null(DefinitionLaws.EqualsTheDefinition.Find(new Subject(_ => Subject.Backend, canonical: true), card, large));
    }

    public static TheoryData<string> Products => [.. OpCards.All.Where(card => card.Family == "linear algebra").Select(card => card.Name)];
}

/// <summary>A backend that rounds its factors to less than it declares is found.</summary>
public sealed class PrecisionSaboteurTests
{
    [Theory]
    [InlineData(Precision.Bf16, Precision.Tf32)]
    [InlineData(Precision.Tf32, Precision.F32)]
    [InlineData(Precision.Bf16, Precision.Exact)]
    public void Less_precision_than_declared_is_found_on_every_product(Precision actual, Precision declared)
    {
        IBackend Create(int _) => new Declares(new CudaBackend(new EmulatedDriver(CudaFixture.Large), precision: actual), declared);
        using var subject = new Subject(Create, canonical: false);
        foreach (var card in OpCards.All.Where(c => c.Family == "linear algebra"))
            Assert.Contains(card.Edges, edge => DefinitionLaws.WithinTheBound.Find(subject, card, edge) is not null);
    }

    sealed class Declares(IBackend inner, Precision precision) : DelegatingBackend(inner)
    {
        public override BackendInfo Info => base.Info with { ProductOperandError = precision.OperandError() };
    }
}
