using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance;

/// <summary>Classes whose tests take longest: <see cref="LongestFirst"/> begins them first.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class LongestAttribute(params Type[] classes) : Attribute
{
    public Type[] Classes { get; } = classes;
}

/// <summary>
/// The order of the classes of a test assembly, which run beside each other: a long one that begins last leaves the other processors without work.
/// An assembly says <c>[assembly: TestCollectionOrderer(LongestFirst.Name, LongestFirst.Assembly)]</c> and <c>[assembly: Longest(typeof(…))]</c>.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    public const string Name = "SparseExperts.Conformance.LongestFirst";

    public const string Assembly = "SparseExperts.Conformance";

    public IEnumerable<ITestCollection> OrderTestCollections(IEnumerable<ITestCollection> testCollections)
    {
        ITestCollection[] all = [.. testCollections];
        string[] longest = [.. all[0].TestAssembly.Assembly.GetCustomAttributes(typeof(LongestAttribute).AssemblyQualifiedName!)
            .SelectMany(a => a.GetNamedArgument<Type[]>(nameof(LongestAttribute.Classes))).Select(c => c.FullName!)];
        // A class without a collection of its own has one with its name at the end.
        int Place(ITestCollection c) => Array.FindIndex(longest, name => c.DisplayName.EndsWith($" {name}", StringComparison.Ordinal));
        return all.OrderBy(c => Place(c) is var place and >= 0 ? place : longest.Length);
    }
}
