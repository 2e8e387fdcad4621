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
        if (Of("groups") is not { } groups) return;
        if (Count(experts) % Count(groups) != 0) throw Contradiction(groups, "does not divide", experts, "groups are of one size");
        if (Of("groups_kept") is { } kept && Count(kept) > Count(groups)) throw Contradiction(kept, "is more than", groups, "keep at most all groups");
    }
}
