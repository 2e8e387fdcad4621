using System.Text.Json.Nodes;
using SparseExperts.Layers;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>What is seen of a dialect: a name, and a fingerprint of what comes out. What goes in is fixed when the view is made.</summary>
/// <param name="See">Gives <see cref="AxisLaw.Refused"/> where the dialect says in one line that it cannot run.</param>
/// <param name="IsGlance">It takes no time, and tells most values apart.</param>
public sealed record AxisView(string Name, Func<Dialect, string> See, bool IsGlance = false);

/// <summary>
/// The liveness of axes: every value of every axis changes something that comes out (plan, gates, outputs, losses, gradients, state, groups, verdicts) for
/// some dialect that accepts it, against every other value of that axis. An axis that is accepted and read by nobody is named.
/// </summary>
public static class AxisLaw
{
    public const string Refused = "refused";

    const string Wide = "nothing is computed wider than float32; a claim that was lies within the bounds of float32";

    const string Stored = "a file's weight is what was stored, and no file stores more than float32";

    /// <summary>Values that are one in what is computed, each with the reason.</summary>
    public static IReadOnlyList<(string Axis, string A, string B, string Reason)> Documentation { get; } =
    [
        ("ignore_padding", "null", "true", "absent where the library has no such switch: its padding rule applies, as with the switch on"),
        ("router_dtype", "f64", "f32", Wide),
        ("logits_dtype", "f64", "f32", Wide),
        ("score_dtype", "f64", "f32", Wide),
        ("experts_dtype", "f64", "f32", Wide),
        ("activation_dtype", "f64", "f32", Wide),
        ("sum_dtype", "f64", "f32", Wide),
        ("gate_dtype", "null", "f64", Wide),
        ("gate_dtype", "null", "f32", Wide),
        ("gate_dtype", "f64", "f32", Wide),
        ("router_weight_dtype", "null", "f64", Wide),
        ("router_weight_dtype", "null", "f32", Stored),
        ("router_weight_dtype", "f64", "f32", Stored),
        ("selection", "top_k", "sparse_mixer", "it chooses as top-k does; its gates, near_winner, are an axis that the rules allow it alone"),
        ("capacity_formula", "per_token", "factor_times_tokens", "the same product; FastMoE counts at the expert what others count in the group"),
        ("capacity_formula", "choices_times_share", "given_or_choices_times_share", "a given capacity wins in every formula; NLLB's says so by its name"),
        ("group_score", "max", "top1_sum", "a sum of one is the largest"),
        ("loss", "null", "gshard", "absent where the library offers no choice among losses: its balance loss is added, as Tutel's is"),
    ];

    /// <summary>
    /// Scenes are glanced at before any is looked at long, as a later one mostly tells at once what the first does not: a few, then the first ones long (what
    /// shows in training alone shows there), then many.
    /// </summary>
    const int FewGlanced = 6, FewLong = 2, ManyGlanced = 64;

    /// <summary>What is tried of an axis without named values: numbers of which two must be told apart, and nothing at all where that is allowed.</summary>
    static readonly double[] Reals = [0, 0.25, 0.5, 1, 1.5, 3];
    static readonly double[] Wholes = [0, 1, 2, 3, 4, 8, -1];

    /// <summary>The values of an axis, as they stand in files.</summary>
    public static IReadOnlyList<JsonNode?> Values(DialectAxis axis)
    {
        List<JsonNode?> values = axis.IsOptional ? [null] : [];
        if (axis.Name == "group_score") values.AddRange(["max", "top1_sum", "top2_sum"]);
        else if (axis.Names.Count > 0) values.AddRange(axis.Names.Select(n => (JsonNode?)JsonValue.Create(n)));
        else if (axis.IsFlag) values.AddRange([false, true]);
        else values.AddRange((axis.IsWhole ? Wholes : Reals).Select(n => (JsonNode?)JsonValue.Create(n)));
        return values;
    }

    /// <summary>Values that nothing tells apart, in words; null where the axis is alive.</summary>
    /// <param name="read">What the engine makes of a dialect: itself, or for a saboteur one in which it does not read an axis.</param>
    /// <param name="scenes">Where to look; everywhere, unless a saboteur has been told where its axis is alive.</param>
    public static string? Find(DialectAxis axis, Func<Dialect, Dialect>? read = null, IEnumerable<Dialect>? scenes = null) =>
        Find(axis, read, scenes ?? AxisScenes.Of(axis), isOfKind: false, inModels: false);

    /// <summary>Values that nothing tells apart in what layers of one kind compute, of those that the rules accept; null where it is alive.</summary>
    public static string? Find(DialectAxis axis, LayerKind kind, Func<Dialect, Dialect>? read = null)
    {
        var scenes = AxisScenes.Of(axis, kind);
        return Find(axis, read, scenes, isOfKind: true, inModels: !Probes.Has(scenes.First())) is { } dead ? $"{kind}: {dead}" : null;
    }

    static string? Find(DialectAxis axis, Func<Dialect, Dialect>? read, IEnumerable<Dialect> scenes, bool isOfKind, bool inModels)
    {
        var values = Values(axis);
        var isNamed = axis.Names.Count > 0 || axis.IsFlag || axis.Name == "group_score";
        var (alike, met, accepted) = (new HashSet<(int A, int B)>(), new HashSet<(int A, int B)>(), new HashSet<int>());
        for (var a = 0; a < values.Count; a++)
            for (var b = a + 1; b < values.Count; b++)
                if (!IsDocumentation(axis, values[a], values[b]) && !(inModels && IsLeftToModels(axis, values[a], values[b]))) alike.Add((a, b));
        // Of numbers two must differ, and from nothing at all one.
        int first = axis.IsOptional ? 1 : 0;
        bool IsNothingAlive() => first == 0 || Enumerable.Range(1, values.Count - 1).Any(b => !alike.Contains((0, b)));
        bool AreNumbersAlive() => Pairs(first, values.Count).Any(p => !alike.Contains(p)) && IsNothingAlive();
        bool IsAlive() => isNamed ? alike.Count == 0 : AreNumbersAlive();

        // A router of another form reads other tensors, which calls of strangers do not have.
        Dialect[] all = [.. scenes];
        IEnumerable<(Dialect Scene, bool Glances)> Looks(int count, bool glances) => all.Take(count).Select(d => (d, glances));
        var looks = axis.Name == "router" || isOfKind ? Looks(all.Length, false)
            : [.. Looks(FewGlanced, true), .. Looks(FewLong, false), .. Looks(ManyGlanced, true).Skip(FewGlanced), .. Looks(all.Length, false).Skip(FewLong)];
        foreach (var (subject, glances) in looks)
        {
            Dialect?[] variants = [.. values.Select(v => Accepted(axis, subject, v))];
            accepted.UnionWith(Enumerable.Range(0, values.Count).Where(v => variants[v] is not null));
            met.UnionWith(alike.Where(p => variants[p.A] is not null && variants[p.B] is not null));
            if (!alike.Any(p => variants[p.A] is not null && variants[p.B] is not null)) continue;
            var views = isOfKind ? AxisViews.OfLayer(axis, subject) : AxisViews.Of(axis, subject);
            foreach (var view in views.TakeWhile(v => v.IsGlance || !glances))
            {
                var seen = new string?[values.Count];
                string? See(int v) => variants[v] is { } d ? seen[v] ??= view.See(read is null ? d : read(d)) : null;
                alike.RemoveWhere(p => variants[p.A] is not null && variants[p.B] is not null && See(p.A) != See(p.B));
                if (IsAlive()) return null;
                if (!alike.Any(p => variants[p.A] is not null && variants[p.B] is not null)) break;
            }
        }
        // Two values that no dialect can have both are told apart by the rules.
        if (isNamed) alike.IntersectWith(met);
        string[] never = [.. Enumerable.Range(0, values.Count).Where(v => isNamed && !isOfKind && !accepted.Contains(v)).Select(v => Text(values[v]))];
        if (never.Length > 0) return $"{axis.Name}: no dialect accepts {string.Join(", ", never)}";
        return IsAlive() ? null : $"{axis.Name}: nothing tells {string.Join(", ", alike.Select(p => $"{Text(values[p.A])} from {Text(values[p.B])}"))}";
    }

    /// <summary>
    /// What is thrown, besides a refusal, where neighbours of a dialect answer its overflowing probe and train, each named by its change; nothing where nothing
    /// is.
    /// </summary>
    public static IEnumerable<string> Deaths(Dialect subject, IEnumerable<(AxisChange Change, Dialect Changed)> neighbours)
    {
        AxisView[] views = [.. AxisViews.Few(subject)];
        return from n in neighbours
               from view in views
               let death = Death(view, n.Changed)
               where death is not null
               select $"{n.Change}: {death}";
    }

    /// <summary>
    /// A value of an axis that is told from its default in a dialect, and where; null where nothing tells any, as where the dialect does not read the axis.
    /// </summary>
    public static string? Shown(DialectAxis axis, Dialect subject)
    {
        var plain = axis.With(subject, axis.ToJson(Blank)?.DeepClone(), "law");
        Dialect[] others = [.. Values(axis).Select(v => Accepted(axis, subject, v)).OfType<Dialect>()];
        AxisView[] views = [.. AxisViews.Of(axis, plain)];
        foreach (var view in views.Where(v => v.IsGlance).Take(3).Append(views[^1]))
        {
            var seen = view.See(plain);
            if (others.FirstOrDefault(d => view.See(d) is var other && other != seen && other != Refused) is { } shown)
                return $"{axis.Name} {axis.Format(shown)} shows in {view.Name} of {subject.Name}";
        }
        return null;
    }

    static readonly Dialect Blank = new() { Name = "", Summary = "", Source = "", Evidence = Evidence.Paper, Parameters = [] };

    static string? Death(AxisView view, Dialect changed)
    {
        try
        {
            view.See(changed);
            return null;
        }
        catch (Exception e)
        {
            return $"{view.Name}: {e.GetType().Name}: {e.Message}";
        }
    }

    static IEnumerable<(int A, int B)> Pairs(int first, int count) =>
        from a in Enumerable.Range(first, count - first)
        from b in Enumerable.Range(a + 1, count - a - 1)
        select (a, b);

    static bool IsDocumentation(DialectAxis axis, JsonNode? a, JsonNode? b) => Documentation.Any(d => d.Axis == axis.Name && d.A == Text(a) && d.B == Text(b));

    /// <summary>
    /// What layers that are seen in models alone, which compute in float32, cannot show: that format named or left out, and activations that are the model's.
    /// </summary>
    static bool IsLeftToModels(DialectAxis axis, JsonNode? a, JsonNode? b) => axis.Name switch
    {
        "gated_experts" => true,
        "activation" => !IsOwn(a) && !IsOwn(b),
        _ => axis.IsFormat && (string[])["null", "f64", "f32"] is var wide && wide.Contains(Text(a)) && wide.Contains(Text(b)),
    };

    static bool IsOwn(JsonNode? activation) =>
        ExpertParameters.HasOwnActivation(DialectAxis.Find("activation")!.With(BuiltIn.Named("hf.mixtral"), activation, "law"));

    static string Text(JsonNode? value) => value?.ToString() ?? "null";

    /// <summary>The dialect with a value, or null where the rules refuse it.</summary>
    static Dialect? Accepted(DialectAxis axis, Dialect subject, JsonNode? value)
    {
        try
        {
            var changed = axis.With(subject, value, "law");
            DialectRules.Check(changed);
            return changed;
        }
        catch (DialectException)
        {
            return null;
        }
    }
}
