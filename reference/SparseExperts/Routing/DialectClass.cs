namespace SparseExperts.Routing;

/// <summary>
/// One rule and the dialects that have it: those that say so (<see cref="Dialect.RuleOf"/>), whose defaults may differ, and those whose axes are all the same.
/// </summary>
/// <param name="Rule">The dialect that the rule is named by.</param>
/// <param name="Members">All of them, the rule first.</param>
public sealed record DialectClass(Dialect Rule, IReadOnlyList<Dialect> Members)
{
    /// <summary>Every built-in dialect in one class, in the order of <see cref="BuiltIn.All"/>.</summary>
    public static IReadOnlyList<DialectClass> All { get; } =
        [.. BuiltIn.All.GroupBy(RootOf).Select(g => new DialectClass(g.Key, [g.Key, .. g.Where(d => d != g.Key)]))];

    static readonly Dictionary<string, DialectClass> ByName = All.SelectMany(c => c.Members.Select(m => (m.Name, c))).ToDictionary(p => p.Name, p => p.c);

    /// <summary>The class of a built-in dialect.</summary>
    public static DialectClass Of(string name) => ByName.GetValueOrDefault(BuiltIn.Named(name).Name)!;

    /// <summary>Model types of transformers whose configurations lead to the rule, in alphabetical order.</summary>
    public IReadOnlyList<string> ModelTypes { get; } = TypesOf(Members);

    /// <summary>Axes in which a dialect of the class departs from its rule.</summary>
    public IEnumerable<DialectAxis> Differences(Dialect member) => Between(Rule, member);

    /// <summary>Axes in which two dialects differ, in the order of the pipeline.</summary>
    public static IEnumerable<DialectAxis> Between(Dialect a, Dialect b) => DialectAxis.All.Where(axis => !Equals(axis.Get(a), axis.Get(b)));

    /// <summary><c>20 model types share it</c>, or the dialects where no configuration leads to them; empty for a rule of one.</summary>
    public string Shared => ModelTypes.Count > 1 ? $"{ModelTypes.Count} model types share it" : Members.Count > 1 ? $"{Members.Count} dialects share it" : "";

    static IReadOnlyList<string> TypesOf(IReadOnlyList<Dialect> members)
    {
        var names = members.Select(m => m.Name).ToHashSet();
        return [.. Configs.ModelTypes.All.Where(t => names.Contains(t.Dialect)).Select(t => t.Name).Distinct().Order(StringComparer.Ordinal)];
    }

    static Dialect RootOf(Dialect d)
    {
        while (d.RuleOf is { } rule) d = BuiltIn.Named(rule);
        return BuiltIn.All.First(other => other.RuleOf is null && !Between(other, d).Any());
    }
}
