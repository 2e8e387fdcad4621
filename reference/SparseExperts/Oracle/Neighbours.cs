using System.Text.Json.Nodes;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>A change of one axis, as text.</summary>
public sealed record AxisChange(string Axis, string Is, string InsteadOf)
{
    /// <summary>The dialect with the change made.</summary>
    public Dialect On(Dialect dialect) => DialectAxis.Find(Axis)!.With(dialect, Is, Axis);

    /// <summary>The dialect with the change made, or null where that contradicts itself.</summary>
    public Dialect? TryOn(Dialect dialect)
    {
        try
        {
            var changed = On(dialect);
            DialectRules.Check(changed);
            return changed;
        }
        catch (DialectException)
        {
            return null;
        }
    }

    public override string ToString() => $"{Axis} = {Is} instead of {InsteadOf}";
}

/// <summary>The dialects that lie one axis away.</summary>
public static class Neighbours
{
    /// <summary>Axes that say how a dialect is described or trained, or that a recorded call cannot show.</summary>
    static readonly HashSet<string> Silent =
    [
        "group_size", "group_split", "replicas",
        "previous_batches", "layer_reduction", "training_extra", "extra_coefficient", "open_order", "open_drop_ties", "open_batch_ties",
        "gated_experts", "shared_expert", "shared_gate", "router_bias",
        "eval_capacity_factor", "eval_policy", "eval_normalize", "eval_balance_coefficient",
        "adaptive_sparsity", "entropy_losses", "router", .. StageFormats.Axes,
    ];

    /// <summary>Values that numeric axes are tried at, besides the dialect's own.</summary>
    static readonly Dictionary<string, double[]> Numbers = new()
    {
        ["k"] = [1, 2, 3, 4, 8],
        ["capacity_factor"] = [0.5, 1, 1.1, 1.2, 1.25, 1.5, 2, 4],
        ["min_capacity"] = [0, 1, 2, 4, 8],
        ["capacity_multiple"] = [0, 2, 4, 8],
        ["scaling_factor"] = [1, 1.5, 2, 2.5, 6, 16],
        ["groups_kept"] = [1, 2, 4],
        ["threshold"] = [0.01, 0.2, 0.25, 0.3, 0.5],
        ["normalize_epsilon"] = [0, 1e-20, 1e-12, 1e-9, 1e-6],
        ["activation_limit"] = [7, 10],
        ["balance_coefficient"] = [0, 0.001, 0.01, 0.1, 1],
        ["z_coefficient"] = [0, 1e-4, 1e-3, 1e-2],
        ["variance_epsilon"] = [0, 1e-10],
        ["microbatches"] = [1],
    };

    /// <summary>Every dialect with one axis changed, formats of stages that the case's numbers show first, then in the order of the pipeline.</summary>
    public static IEnumerable<(AxisChange Change, Dialect Dialect)> Of(Case @case, Func<IBackend> backend) =>
        StageFormats.Shown(@case, backend).Concat(Of(@case.Dialect));

    /// <summary>
    /// Every dialect with one axis changed, in the order of the pipeline; not number formats of stages, whose wider bounds let anything pass
    /// (<see cref="StageFormats"/>).
    /// </summary>
    public static IEnumerable<(AxisChange Change, Dialect Dialect)> Of(Dialect dialect)
    {
        foreach (var axis in DialectAxis.All)
        {
            if (Silent.Contains(axis.Name)) continue;
            var own = axis.Format(dialect) ?? "none";
            foreach (var value in Candidates(axis, dialect))
            {
                var changed = Try(axis, dialect, value);
                if (changed is null || axis.Format(changed) is not { } text || text == own) continue;
                yield return (new(axis.Name, text, own), changed);
            }
        }
    }

    /// <summary>
    /// How likely a change is, for putting equal explanations in order: first what the dialect's own library lets its users set, then what more of
    /// the built-in dialects do.
    /// </summary>
    public static int Plausibility(Dialect dialect, AxisChange change)
    {
        var axis = DialectAxis.Find(change.Axis)!;
        if (StageFormats.Axes.Contains(change.Axis)) return 3 * BuiltIn.All.Count;       // the numbers themselves speak for it
        return (dialect.Parameters.Contains(change.Axis) ? BuiltIn.All.Count : 0) + BuiltIn.All.Count(d => axis.Format(d) == change.Is);
    }

    static IEnumerable<JsonNode> Candidates(DialectAxis axis, Dialect dialect)
    {
        // A factor that is applied twice.
        if (axis.Name == "scaling_factor")
            return Numbers[axis.Name].Append(dialect.ScalingFactor * dialect.ScalingFactor).Distinct().Select(n => (JsonNode)JsonValue.Create(n));
        if (axis.Values.Count > 0) return axis.Values.Select(v => (JsonNode)JsonValue.Create(v.Name)!);
        if (Numbers.TryGetValue(axis.Name, out var numbers)) return numbers.Select(n => (JsonNode)JsonValue.Create(n));
        if (axis.Name == "group_score") return ((string[])["max", "top1_sum", "top2_sum", "top3_sum", "top4_sum"]).Select(n => (JsonNode)JsonValue.Create(n)!);
        return axis.IsFlag ? [JsonValue.Create(true), JsonValue.Create(false)] : [];
    }

    static Dialect? Try(DialectAxis axis, Dialect dialect, JsonNode value)
    {
        try
        {
            var changed = axis.With(dialect, value, "search");
            DialectRules.Check(changed);
            return changed;
        }
        catch (DialectException)
        {
            return null;        // a contradiction is no neighbour
        }
    }
}
