using FsCheck;
using FsCheck.Fluent;

namespace SparseExperts.Conformance;

/// <summary>What a <see cref="LawAttribute"/> can draw, each with its way to smaller cases.</summary>
public static class Arbitraries
{
    public static Arbitrary<Recipe> Recipes() => Arb.From(Recipe.Of(Enum.GetValues<Temper>()), recipe => recipe.Smaller());

    public static Arbitrary<RoutingCase> RoutingCases() => Arb.From(RoutingCase.Any, asked => asked.Smaller());

    public static Arbitrary<DialectCase> DialectCases() => Arb.From(DialectCase.Any, asked => asked.Smaller());
}

/// <summary>Recipes of ordinary numbers alone, for laws about places, or about slopes away from kinks.</summary>
public static class CalmRecipes
{
    public static Arbitrary<Recipe> Recipes() => Arb.From(Recipe.Of(Temper.Calm), recipe => recipe.Smaller());
}

/// <summary>Recipes without infinities and NaN.</summary>
public static class FiniteRecipes
{
    public static Arbitrary<Recipe> Recipes() => Arb.From(Recipe.Of(Temper.Calm, Temper.Wide), recipe => recipe.Smaller());
}
