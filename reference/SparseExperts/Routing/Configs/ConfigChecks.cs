using System.Globalization;
using System.Text.Json.Nodes;

namespace SparseExperts.Routing.Configs;

/// <summary>Values that contradict each other: k of fewer than k experts, groups that do not divide them.</summary>
static class ConfigChecks
{
    public static void Check(ConfigPart part, ModelType type, ConfigParameter experts, IReadOnlyList<ConfigParameter> parameters)
    {
        ConfigParameter? Of(string name) => parameters.FirstOrDefault(p => p.Name == name);
        static int Count(ConfigParameter p) => p.Value.GetValue<int>();
        DialectException Contradiction(ConfigParameter a, string relation, ConfigParameter b, string remedy) =>
            new($"{part.Where}: {a.From} {ConfigPart.Brief(a.Value)} {relation} {b.From} {ConfigPart.Brief(b.Value)}; {remedy}");

        var identity = Of("identity_experts");
        if (Of("k") is { } k && type.Experts.Keys.Count > 0 && Count(k) > Count(experts) + (identity is null ? 0 : Count(identity)))
            throw Contradiction(k, "is more than", experts, "a token cannot choose an expert twice");
        foreach (var coefficient in parameters.Where(p => p.Name.EndsWith("_coefficient", StringComparison.Ordinal)))
            Require(coefficient, number => number >= 0, "0 (off) or more");
        foreach (var factor in parameters.Where(p => p.Name.EndsWith("scaling_factor", StringComparison.Ordinal)))
            Require(factor, number => number >= 0, "a factor of 0 or more");
        if (Of("groups") is { } groups) CheckGroups(groups);
        CheckRules(part, type, parameters);

        void Require(ConfigParameter parameter, Func<double, bool> holds, string remedy)
        {
            if (!holds(double.Parse(parameter.Value.ToJsonString(), CultureInfo.InvariantCulture))) throw Cannot(part, parameter, remedy);
        }

        void CheckGroups(ConfigParameter groups)
        {
            if (Count(experts) % Count(groups) != 0) throw Contradiction(groups, "does not divide", experts, "groups are of one size");
            if (Of("groups_kept") is { } kept && Count(kept) > Count(groups)) throw Contradiction(kept, "is more than", groups, "keep at most all groups");
        }
    }

    /// <summary>What the dialect's own rules refuse, in the words of the file: the first key without which they are kept.</summary>
    static void CheckRules(ConfigPart part, ModelType type, IReadOnlyList<ConfigParameter> parameters)
    {
        if (BuiltIn.Find(type.Dialect) is not { } dialect || Refusal(parameters) is not { } refusal) return;
        var slip = parameters.FirstOrDefault(p => Refusal([.. parameters.Where(o => o != p)]) is null)
            ?? throw new DialectException($"{part.Where}: {refusal}");
        var remedy = refusal.LastIndexOf(Choose, StringComparison.Ordinal) is >= 0 and var at ? at + Choose.Length : 0;
        throw Cannot(part, slip, refusal[remedy..]);

        string? Refusal(IReadOnlyList<ConfigParameter> some)
        {
            try
            {
                JsonObject said = new(some.Select(p => KeyValuePair.Create<string, JsonNode?>(p.Name, p.Value.DeepClone())));
                DialectFile.With(dialect, said, part.Where, lenient: true);
                return null;
            }
            catch (DialectException e)
            {
                return e.Message;
            }
        }
    }

    const string Choose = ": choose ";

    static DialectException Cannot(ConfigPart part, ConfigParameter parameter, string remedy) =>
        new($"{part.Where}: {parameter.From} cannot be {ConfigPart.Brief(parameter.Value)}; choose {remedy}");
}
