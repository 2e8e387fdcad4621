using SparseExperts.Formats;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>A stage of the router whose claimed numbers are of another format than the dialect says.</summary>
/// <param name="Claim">The claim that shows it.</param>
public sealed record FormatDeparture(AxisChange Change, string Claim)
{
    /// <summary>Whether the numbers are wider than the dialect's format, and not narrower.</summary>
    public bool IsWider { get; init; }

    /// <summary>Whether a change is this one, or one of the product that the logits are.</summary>
    public bool IsExplainedBy(AxisChange change) => change.Axis == Change.Axis || Change.Axis == "logits_dtype" && change.Axis == "router_dtype";

    public override string ToString() => IsWider
        ? $"{Change.Axis}: {Claim} holds numbers that are no {Change.InsteadOf} numbers"
        : $"{Change.Axis}: {Claim} holds nothing but {Change.Is} numbers, where {Change.InsteadOf} is expected";
}

/// <summary>
/// Number formats of the router's stages: weight, product, logits, scores, gates. Whether a stage was computed in another format than the dialect says is
/// read from the claimed numbers themselves: all of them must be numbers of the narrow format, and enough of them have more bits than chance gives. That a
/// wider bound would let them pass says nothing.
/// </summary>
static class StageFormats
{
    /// <summary>The formats' axes, in the order of the pipeline, and the claims that show them.</summary>
    static readonly (string Axis, string[] Claims)[] Stages =
    [
        ("router_weight_dtype", ["claim.logits"]), ("router_dtype", ["claim.logits"]), ("logits_dtype", ["claim.logits"]),
        ("score_dtype", ["claim.scores"]), ("gate_dtype", ["claim.gate", "claim.combine"]),
    ];

    /// <summary>The axes of <see cref="Stages"/>.</summary>
    public static IReadOnlyList<string> Axes { get; } = [.. Stages.Select(s => s.Axis)];

    /// <summary>Changes of one stage's format that the claimed numbers speak for, with the dialect that has them.</summary>
    public static IEnumerable<(AxisChange Change, Dialect Dialect)> Shown(Case c, Func<IBackend> backend)
    {
        foreach (var (axis, claims) in Stages)
        {
            var its = DialectAxis.Find(axis)!;
            var own = (NumberFormat?)its.Get(c.Dialect);
            foreach (var format in (NumberFormat[])[.. StoredFormat.Narrow, NumberFormat.Float32])
            {
                var name = format.Name();
                var change = new AxisChange(axis, name, its.Format(c.Dialect) ?? "none");
                if (format != own && change.TryOn(c.Dialect) is { } changed && IsShown(c, axis, claims, format, own, backend)) yield return (change, changed);
            }
        }
    }

    static bool IsShown(Case c, string axis, string[] claims, NumberFormat format, NumberFormat? own, Func<IBackend> backend)
    {
        if (claims.Select(c.Find).FirstOrDefault(t => t is not null) is not { } claim) return false;
        // Wider than a narrow format that the dialect names: its numbers are none of that one.
        if (format == NumberFormat.Float32) return own is NumberFormat.BFloat16 or NumberFormat.Float16 && !StoredFormat.Holds(own.Value, claim);
        return axis switch
        {
            "router_weight_dtype" => !IsNarrow(format, claim) && AreMadeFrom(c, format, backend, "router.weight"),
            "router_dtype" => IsNarrow(format, claim) && AreMadeFrom(WithLogitsIn(format), format, backend, "x", "router.weight", "router.bias"),
            "logits_dtype" => IsNarrow(format, claim),
            _ => IsNarrow(format, claim) && !IsCopy(c, claim),
        };
        Case WithLogitsIn(NumberFormat narrow) => c.Under(c.Dialect with { LogitsDtype = narrow });
    }

    /// <summary>Whether every number of a claim is one of the format, and enough of them tell.</summary>
    static bool IsNarrow(NumberFormat format, CaseTensor claim) => StoredFormat.Holds(format, claim) && StoredFormat.Tells([claim]);

    /// <summary>Whether the claim repeats numbers of the stage before it, and so has their format.</summary>
    static bool IsCopy(Case c, CaseTensor claim)
    {
        if (c.Find(claim.Name == "claim.scores" ? "claim.logits" : "claim.scores") is not { } before) return false;
        var known = before.Values.ToHashSet();
        return claim.Values.All(v => v == 0 || known.Contains(v));
    }

    /// <summary>
    /// Whether the logits are those of inputs that are rounded before they are multiplied, and the inputs are no such numbers already. The rounded numbers
    /// themselves are put in the inputs' place, so that the bound stays that of the product.
    /// </summary>
    static bool AreMadeFrom(Case c, NumberFormat format, Func<IBackend> backend, params string[] inputs)
    {
        CaseTensor[] given = [.. inputs.Select(c.Find).OfType<CaseTensor>()];
        if (given.Length == 0 || given.All(t => StoredFormat.Holds(format, t))) return false;
        var rounded = c.With(given.Select(t => t with { Values = Array.ConvertAll(t.Values, v => Rounding.To(format, v)) }));
        return Diagnosis.TryCheck(rounded, backend)?.Stages.Any(s => s.Stage == "logits" && s.Outcome == Outcome.Agrees) == true;
    }

    /// <summary>
    /// Stages whose claimed numbers are of another format than the dialect says: narrower than float32 where it names float32, or wider than the narrow
    /// format of the logits. An implementation may agree within rounding and do so.
    /// </summary>
    /// <param name="given">The case as its file holds it.</param>
    public static IReadOnlyList<FormatDeparture> Departures(Case given)
    {
        List<FormatDeparture> found = [];
        void Add(string axis, string insteadOf, NumberFormat format, CaseTensor claim, bool wider = false) =>
            found.Add(new(new(axis, format.Name(), insteadOf), claim.Name) { IsWider = wider });
        var d = given.Dialect.For(given.Training);
        (string Axis, NumberFormat? Says)[] stages = [("logits_dtype", d.LogitsDtype ?? d.RouterDtype), ("score_dtype", d.ScoreDtype), ("gate_dtype",
            d.GateDtype)];
        foreach (var (axis, says) in stages)
        {
            var claim = Stages.First(s => s.Axis == axis).Claims.Select(given.Find).FirstOrDefault(t => t is not null);
            if (claim is null || says is not NumberFormat.Float32) continue;
            foreach (var format in StoredFormat.Narrow)
                if (IsNarrow(format, claim) && (axis == "logits_dtype" || !IsCopy(given, claim)))
                {
                    Add(axis, "f32", format, claim);
                    break;
                }
        }
        var logits = d.LogitsDtype ?? d.RouterDtype ?? given.Find("x")?.Format;
        var isPlain = d is { Router: RouterForm.Linear, LogitsScale: 1, LogitsSoftcap: 0, PaddingLogits: PaddingLogits.Kept };
        if (isPlain && logits is NumberFormat.BFloat16 or NumberFormat.Float16 && given.Find("claim.logits") is { Digits: null } wide
            && !StoredFormat.Holds(logits.Value, wide))
            Add("logits_dtype", logits.Value.Name(), NumberFormat.Float32, wide, wider: true);
        return found;
    }
}
