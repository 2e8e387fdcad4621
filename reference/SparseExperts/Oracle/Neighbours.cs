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

    static readonly double[] Coefficients = [0, 0.001, 0.01, 0.1, 1];

    /// <summary>Values that numeric axes are tried at, besides the dialect's own.</summary>
    static readonly Dictionary<string, double[]> Numbers = new()
    {
        ["k"] = [1, 2, 3, 4, 8],
        ["capacity_factor"] = [0.5, 1, 1.1, 1.2, 1.25, 1.5, 2, 4],
        ["min_capacity"] = [0, 1, 2, 4, 8],
        ["capacity_multiple"] = [0, 2, 4, 8],
        ["scaling_factor"] = [1, 1.5, 2, 2.5, 6, 16],
        ["threshold"] = [0.01, 0.2, 0.25, 0.3, 0.5],
        ["normalize_epsilon"] = [0, 1e-20, 1e-12, 1e-9, 1e-6],
        ["activation_limit"] = [7, 10],
        ["balance_coefficient"] = [0, 0.001, 0.01, 0.1, 1],
        ["z_coefficient"] = [0, 1e-4, 1e-3, 1e-2],
        ["importance_coefficient"] = Coefficients,
        ["load_coefficient"] = Coefficients,
        ["gshard_coefficient"] = Coefficients,
        ["entropy_coefficient"] = Coefficients,
        ["sparsity_coefficient"] = Coefficients,
        ["alignment_coefficient"] = Coefficients,
        ["sequence_balance_coefficient"] = [0],
        ["global_balance_coefficient"] = [0],
        ["bias_rate"] = [0, 1e-4, 1e-3, 1e-2],
        ["variance_epsilon"] = [0, 1e-10],
        ["microbatches"] = [1],
        ["logits_scale"] = [1],
        ["logits_softcap"] = [0, 10, 15, 20, 30, 50],
        ["router_norm_epsilon"] = [0, 1e-12, 1e-8, 1e-6, 1e-5],
        ["router_input_scale"] = [1],
        ["output_scaling_factor"] = [1, 1.5, 2, 2.5],
        ["groups"] = [1, 2, 4, 8],
        ["identity_experts"] = [0],
        ["null_experts"] = [0, 1],
        ["activation_alpha"] = [1, 1.702],
        ["activation_beta"] = [0, 1],
        ["shared_activation_limit"] = [0, 7, 10],
        ["activation_gate_softcap"] = [0, 4],
        ["activation_up_softcap"] = [0, 25],
        ["experts_in_norm_epsilon"] = [0, 1e-8, 1e-6, 1e-5],
        ["experts_post_norm_epsilon"] = [0, 1e-8, 1e-6, 1e-5],
        ["noise_std"] = [0, 1],
        ["noise_epsilon"] = [0, 1e-2],
        ["noise_multiplier"] = [0, 1],
        ["temperature"] = [1],
        ["token_dropout"] = [0],
    };

    /// <summary>Axes that say nothing of a dialect without the part that they belong to.</summary>
    static readonly Dictionary<string, Func<Dialect, bool>> Belongs = new()
    {
        ["balance_coefficient"] = d => d.Balance != BalanceLoss.None,
        ["z_coefficient"] = d => d.ZLoss != ZLoss.None,
        ["importance_coefficient"] = d => d.Importance != ImportanceLoss.None,
        ["load_coefficient"] = d => d.Load != LoadLoss.None,
        ["gshard_coefficient"] = d => d.GshardLoss,
        ["entropy_coefficient"] = d => d.EntropyLosses,
        ["sparsity_coefficient"] = d => d.SparsityCoefficient != 0,
        ["alignment_coefficient"] = d => d.AlignmentCoefficient != 0,
        ["bias_rate"] = d => d.CorrectionBias,
        ["router_norm_epsilon"] = d => d.RouterNorm,
        ["router_input_scale"] = d => d.RouterNorm,
        ["activation_alpha"] = d => d.Activation == ExpertActivation.SwigluClamped,
        ["activation_beta"] = d => d.Activation == ExpertActivation.SwigluClamped,
        ["activation_limit"] = d => d.Activation.IsLimited(),
        ["shared_activation_limit"] = d => d.Activation.IsLimited(),
        ["activation_gate_softcap"] = d => d.Activation == ExpertActivation.SwigluSoftcapped,
        ["activation_up_softcap"] = d => d.Activation == ExpertActivation.SwigluSoftcapped,
        ["experts_in_norm_epsilon"] = d => d.ExpertsInNorm,
        ["experts_post_norm_epsilon"] = d => d.ExpertsPostNorm,
        ["noise_std"] = d => d.Noise != LogitNoise.None,
        ["noise_epsilon"] = d => d.Noise != LogitNoise.None,
        ["noise_multiplier"] = d => d.Noise != LogitNoise.None,
        ["variance"] = d => d.Importance != ImportanceLoss.None || d.Load != LoadLoss.None,
        ["variance_epsilon"] = d => d.Importance != ImportanceLoss.None || d.Load != LoadLoss.None,
    };

    static readonly HashSet<string> BeforeScores = [.. Section("router", "score"), "padding_logits"];
    static readonly HashSet<string> OfLogits = [.. Section("router", "router_policy").Except(["router_input_scale", "score_dtype", "gate_dtype"])];

    /// <summary>What is decided before the gates of claimed choices are there, but for who disturbs the experts' input too.</summary>
    static readonly HashSet<string> OfGates =
    [
        .. Section("noise", "capacity_formula").Except(["padding", "ignore_padding", "force_balance"]),
        .. Section("normalize", "shared_in_gates"),
    ];
    static readonly HashSet<string> OfExperts = [.. Section("activation", "balance").Except(["identity_experts", "null_experts", "combination"])];
    static readonly HashSet<string> OfLosses = [.. Section("balance", "group_size")];

    /// <summary>Axes from one to the one before another, in the order of the pipeline.</summary>
    static IEnumerable<string> Section(string first, string end) =>
        DialectAxis.All.Select(a => a.Name).SkipWhile(n => n != first).TakeWhile(n => n != end);

    /// <summary>Whether a change of an axis can reach a stage at all: what comes after it in the pipeline cannot.</summary>
    /// <param name="held">Whose claims take the place of what was computed, so that an axis before them cannot reach past them.</param>
    internal static bool CanReach(string axis, string stage, Case held)
    {
        if (stage.StartsWith("grad.", StringComparison.Ordinal)) return true;
        if (stage.StartsWith("loss.", StringComparison.Ordinal) || stage == "correction_bias") return !OfExperts.Contains(axis);
        if (OfLosses.Contains(axis)) return false;
        var isGiven = held.Has("claim.logits") && stage is not ("logits" or "shared_logits" or "router_state" or "key_logits");
        if (isGiven && OfLogits.Contains(axis)) return false;
        if (stage == "y" && held.Has("claim.expert") && (held.Has("claim.gate") || held.Has("claim.combine")) && OfGates.Contains(axis)) return false;
        if (stage is "logits" or "shared_logits" or "router_state" or "key_logits") return BeforeScores.Contains(axis);
        return stage is "y" or "slot_dispatch" or "slot_combine" || !OfExperts.Contains(axis);
    }

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
            if (Silent.Contains(axis.Name) || Belongs.TryGetValue(axis.Name, out var belongs) && !belongs(dialect)) continue;
            var own = axis.Format(dialect) ?? "none";
            foreach (var value in Candidates(axis, dialect))
            {
                var changed = Try(axis, dialect, value);
                if (changed is null || axis.Format(changed) is not { } text || text == own) continue;
                yield return (new(axis.Name, text, own), changed);
            }
        }
    }

    /// <summary>Whether the dialect's own library lets its users make a change, or another dialect of its family has it.</summary>
    internal static bool IsOfFamily(Dialect dialect, AxisChange change)
    {
        if (DialectFile.IsParameter(dialect, change.Axis)) return true;
        var axis = DialectAxis.Find(change.Axis)!;
        var family = dialect.Name.Split('.')[0];
        return BuiltIn.All.Any(d => d.Name.Split('.')[0] == family && axis.Format(d) == change.Is);
    }

    /// <summary>
    /// How likely a change is, for putting equal explanations in order: first what the dialect's own library lets its users set, then what more of
    /// the built-in dialects do.
    /// </summary>
    public static int Plausibility(Dialect dialect, AxisChange change)
    {
        var axis = DialectAxis.Find(change.Axis)!;
        if (StageFormats.Axes.Contains(change.Axis)) return 3 * BuiltIn.All.Count;       // the numbers themselves speak for it
        return (DialectFile.IsParameter(dialect, change.Axis) ? BuiltIn.All.Count : 0) + BuiltIn.All.Count(d => axis.Format(d) == change.Is);
    }

    static IEnumerable<JsonNode> Candidates(DialectAxis axis, Dialect dialect)
    {
        // A factor that is applied twice.
        if (axis.Name == "scaling_factor")
            return Numbers[axis.Name].Append(dialect.ScalingFactor * dialect.ScalingFactor).Distinct().Select(n => (JsonNode)JsonValue.Create(n));
        if (axis.Values.Count > 0) return axis.Values.Select(v => (JsonNode)JsonValue.Create(v.Name)!);
        if (axis.Name == "groups_kept") return Enumerable.Range(1, Math.Clamp(dialect.Groups, 1, 8)).Select(n => (JsonNode)JsonValue.Create((double)n));
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
