using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

public sealed class CudaOpLaws : OpLaws<CudaFixture>;

/// <summary>How work is cut depends on the number of multiprocessors, and no bit does: the edges and large cases on a large device too.</summary>
public sealed class LargeDeviceTests : IDisposable
{
    readonly Subject _subject = new(_ => new CudaBackend(new EmulatedDriver(CudaFixture.Large)), canonical: true);

    public void Dispose() => _subject.Dispose();

    [Theory, MemberData(nameof(Cards))]
    public void Equals_the_scalar_definition_on_edges_and_large_cases(string name)
    {
        var card = OpCards.Named(name);
        foreach (var @case in card.Edges.Where((_, i) => i / 2 % 4 == 0).Concat(card.Large)) DefinitionLaws.EqualsTheDefinition.Demand(_subject, card, @case);
    }

    public static TheoryData<string> Cards => CudaOpLaws.Cards;
}

/// <summary>Work that scratch memory has no room for goes in steps, and no bit depends on it: attention's edges where every tile is a step.</summary>
public sealed class LittleMemoryTests : IDisposable
{
    readonly Subject _subject = new(_ => new CudaBackend(new EmulatedDriver(CudaFixture.Large with { MemoryBytes = 4 << 20 })), canonical: true);

    public void Dispose() => _subject.Dispose();

    [Theory, MemberData(nameof(Cards))]
    public void Equals_the_scalar_definition_tile_by_tile(string name)
    {
        var card = OpCards.Named(name);
        foreach (var @case in card.Edges.Where((_, i) => i / 2 % 3 == 0)) DefinitionLaws.EqualsTheDefinition.Demand(_subject, card, @case);
    }

    public static TheoryData<string> Cards => [.. OpCards.All.Select(card => card.Name).Where(name => name.StartsWith("Attention", StringComparison.Ordinal))];
}
