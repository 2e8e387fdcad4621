using SparseExperts.Routing;

namespace SparseExperts.Conformance;

/// <summary>
/// The dialects in which an axis is looked for: some that come from no library and set it, those that set it, those whose users may, some that switch
/// something on beside it, then all.
/// </summary>
public static class AxisScenes
{
    public static IEnumerable<Dialect> Of(DialectAxis axis) => Own.Where(d => !axis.IsDefault(d))
        .Concat(BuiltIn.All.Where(d => !axis.IsDefault(d)))
        .Concat(BuiltIn.All.Where(d => axis.IsDefault(d) && DialectFile.IsParameter(d, axis.Name))).Concat(Own)
        .Concat(BuiltIn.All.Where(d => axis.IsDefault(d) && !DialectFile.IsParameter(d, axis.Name)));

    /// <summary>
    /// Dialects with a layer of one kind: those of libraries, some that come from none, and those that take of a routed dialect what their layer reads as well.
    /// </summary>
    public static IEnumerable<Dialect> Of(DialectAxis axis, LayerKind kind)
    {
        Dialect[] own = [.. BuiltIn.All.Concat(OfKinds).Where(d => d.LayerKind() == kind).OrderBy(axis.IsDefault)];
        return own.Concat(Of(axis).Where(d => d.LayerKind() == LayerKind.Routed && !axis.IsDefault(d)).Select(d => Adopted(own[0], d)).OfType<Dialect>());
    }

    /// <summary>The dialect with what its layer can take of another; null where the rules refuse it.</summary>
    static Dialect? Adopted(Dialect d, Dialect other)
    {
        foreach (var axis in DialectAxis.All)
            if (axis.Name != "selection" && !axis.IsDefault(other) && LayerAxes.Find(d.LayerKind(), axis) is { } reading && reading.Knows(other))
                d = axis.With(d, axis.ToJson(other), "law");
        try
        {
            DialectRules.Check(d);
            return d;
        }
        catch (DialectException)
        {
            return null;
        }
    }

    static Dialect[] OfKinds { get; } = [.. ((Dialect[])
    [
        BuiltIn.Named("t2t.hierarchical") with { GroupsKept = 1 },
        .. new[] { "t2t.hierarchical", "dselect_k.per_example" }.Select(BuiltIn.Named).SelectMany(d => (Dialect[])
        [
            d with { RouterPolicy = RouterPolicy.InputJitter, Jitter = 0.2 },
            d with { RouterPolicy = RouterPolicy.InputJitter, Jitter = 0.2, RouterDtype = NumberFormat.BFloat16 },
            d with { RouterPolicy = RouterPolicy.InputDropout, InputDropout = 0.3 },
            d with { GatedExperts = true, Activation = ExpertActivation.SwigluClamped },
            d with { GatedExperts = true, Activation = ExpertActivation.SwigluSoftcapped },
            d with { GatedExperts = true, Activation = ExpertActivation.SwigluLimited, ActivationLimit = 0.1 },
            d with { SharedExpert = true },
            d with { SharedExpert = true, GatedExperts = true, Activation = ExpertActivation.SwigluLimited },
            d with { LatentExperts = true, ExpertsInNorm = true, ExpertsPostNorm = true },
            d with { TokenDropout = 0.2, TrainingExtra = TrainingExtra.Consistency },
        ]),
        BuiltIn.Named("vmoe.soft") with { GatedExperts = true, Activation = ExpertActivation.SwigluClamped },
        BuiltIn.Named("vmoe.soft") with { GatedExperts = true, Activation = ExpertActivation.SwigluSoftcapped },
        BuiltIn.Named("vmoe.soft") with { GatedExperts = true, Activation = ExpertActivation.SwigluLimited, ActivationLimit = 0.1 },
        BuiltIn.Named("vmoe.soft") with { CapacityFactor = 1.3 },
        BuiltIn.Named("vmoe.soft") with { CapacityFactor = 6 },
        BuiltIn.Named("vmoe.soft") with { Capacity = 2, CapacityFactor = 3 },
        BuiltIn.Named("vmoe.soft") with { GroupSize = 8 },
        BuiltIn.Named("vmoe.soft") with { GroupSize = 4, GroupSplit = GroupSplit.MultipleOfExperts },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.All },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.All, GatedExperts = true, Activation = ExpertActivation.SwigluClamped },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.All, GatedExperts = true, Activation = ExpertActivation.SwigluSoftcapped },
        BuiltIn.Named("mesh.two_level") with { GatedExperts = true, Activation = ExpertActivation.SwigluLimited, ActivationLimit = 0.1 },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.All, Score = Score.Relu, Normalize = Normalize.Sum },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.All, Score = Score.Relu, Normalize = Normalize.AfterDrop, CapacityFactor = 0.5 },
        BuiltIn.Named("mesh.two_level") with { Policy = Policy.Threshold, Threshold = 0.49 },
        BuiltIn.Named("mesh.two_level") with { Threshold = 0.9 },
        BuiltIn.Named("mesh.two_level") with { GroupSize = 4 },
        BuiltIn.Named("mesh.two_level") with { GroupSize = 4, GroupSplit = GroupSplit.MultipleOfExperts },
    ]).Select(d => d with { Evidence = Evidence.Own })];

    static Dialect[] Own { get; } =
    [
        BuiltIn.Named("tutel.topk") with { BatchPrioritized = true },
        BuiltIn.Named("fairseq.top2") with { BatchPrioritized = true, Policy = Policy.All },
        BuiltIn.Named("mesh.ntlb") with { RouterPolicy = RouterPolicy.InputDropout },
        BuiltIn.Named("mesh.switch") with { SecondPlaceProbability = 0.5, SecondPlaceTemperature = 1 },
        BuiltIn.Named("mesh.switch") with { RouterPolicy = RouterPolicy.InputDropout, InputDropout = 0.5 },
        BuiltIn.Named("mesh.switch") with { RouterPolicy = RouterPolicy.Sample },
        BuiltIn.Named("tutel.topk") with { NoiseStd = 1, Load = LoadLoss.OneThreshold, LoadCoefficient = 0.5 },
        BuiltIn.Named("deepspeed.topk") with { DropPolicy = DropPolicy.Position, OpenDropTies = true },
        BuiltIn.Named("hf.deepseek_v3") with { Groups = 4, GroupsKept = 2, K = 4 },
        BuiltIn.Named("tutel.topk") with { BatchPrioritized = true, CapacityFactor = 0, EvalCapacityFactor = 0 },
        BuiltIn.Named("fairseq.top2") with { Policy = Policy.Random },
        BuiltIn.Named("hf.mixtral") with { K = 1 },
        BuiltIn.Named("megatron.topk") with { BalanceLevel = BalanceLevel.Global, PreviousBatches = 1, BalanceCoefficient = 0.5 },
        BuiltIn.Named("megatron.topk") with { BalanceLevel = BalanceLevel.Sequence, BalanceCoefficient = 0.5 },
        BuiltIn.Named("megatron.topk") with { CapacityFactor = 1 },
        BuiltIn.Named("lingvo.top2") with { LossDenominator = LossDenominator.RealTokens },
        BuiltIn.Named("trtllm.adaptive_k") with { Policy = Policy.All },
    ];
}
