using SparseExperts.SamplePlugin;
using Xunit;

namespace SparseExperts.Conformance.Cpu;

/// <summary>The sample plugin's backend, which overrides no op that has a default body.</summary>
public sealed class RequiredOpsFixture : IBackendFixture
{
    public IBackend Create(int threads) => new SampleBackend();
    public bool Canonical => true;
    public bool HasThreads => false;
    public int EveryEdge => 6;
}

/// <summary>Every law on every card: ops that are made of others have the definition's bits.</summary>
public sealed class RequiredOpsLaws : OpLaws<RequiredOpsFixture>;

/// <summary>That the laws above meet the default bodies, and that they would find a wrong one.</summary>
public sealed class DefaultBodyTests
{
    /// <summary>What a backend may leave out.</summary>
    static readonly string[] Optional =
    [
        "AdamW", "BalanceLoss", "BalanceLossBackward", "Cast", "ChosenGates", "ChosenGatesBackward", "Combine", "CombineBackward", "Exactly", "Gated",
        "GatedBackward", "GemmAdd", "GemmGroupedActivate", "GemmGroupedActivateBackward", "GemmGroupedBackward", "GemmOuter", "LinearBackward", "Repeated",
        "Rotary", "RunSquares", "ScatterAddTokens", "SumSquares", "SumSquaresBackward", "get_Routing",
    ];

    [Fact]
    public void The_sample_implements_what_is_required_and_nothing_else()
    {
        var map = typeof(SampleBackend).GetInterfaceMap(typeof(IBackend));
        var families = typeof(IBackend).GetInterfaces().Select(typeof(SampleBackend).GetInterfaceMap).Append(map);
        var left = families.SelectMany(f => f.InterfaceMethods.Zip(f.TargetMethods)).Where(pair => pair.Second.DeclaringType!.IsInterface)
            .Select(pair => pair.First.Name.Split('.')[^1]).Distinct().Order();
        Assert.Equal(Optional, left);
    }

    [Theory]
    [InlineData("Gated")]
    [InlineData("Rotary")]
    public void A_fault_of_an_op_shows_in_what_is_made_of_it(string name)
    {
        using var subject = new Subject(_ => new WrongMultiply(), canonical: true);
        var card = OpCards.All.First(c => c.Name.StartsWith(name, StringComparison.Ordinal));
        Assert.NotNull(DefinitionLaws.EqualsTheDefinition.Find(subject, card, card.At(new Draw(new Random(1)), new(3, 4, 5))));
    }

    /// <summary>Products that are a unit in the last place too large.</summary>
    sealed class WrongMultiply : SampleBackend, IBackend
    {
        void IPointwise.Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
        {
            Multiply(a, b, c, accumulate);
            Scale(c, 1.0000001, c, false);
        }
    }
}
