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
        .Concat(BuiltIn.All.Where(d => axis.IsDefault(d) && d.Parameters.Contains(axis.Name))).Concat(Own)
        .Concat(BuiltIn.All.Where(d => axis.IsDefault(d) && !d.Parameters.Contains(axis.Name)));

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
    ];
}
