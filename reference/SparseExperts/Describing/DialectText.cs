using System.Globalization;
using SparseExperts.Layers;
using SparseExperts.Routing;

namespace SparseExperts.Describing;

/// <summary>A dialect in words: the cells of the comparison table, and a worked example.</summary>
public static class DialectText
{
    /// <summary>Column heads of the comparison table.</summary>
    public static IReadOnlyList<string> Columns { get; } =
        ["dialect", "choice", "scores", "noise", "slots of an expert", "who stays", "gate", "padding", "balance loss", "z-loss", "layers", "known"];

    /// <summary>One row of the comparison table.</summary>
    public static IReadOnlyList<string> Row(Dialect d) =>
        [d.Name, Choice(d), Scores(d), Noise(d), Slots(d), Stays(d), Gates(d), Padding(d), Balance(d), ZTerm(d),
            d.LayerReduction.ToString().ToLowerInvariant(), d.Evidence.ToString().ToLowerInvariant()];

    static string Choice(Dialect d)
    {
        var choice = d.Selection switch
        {
            Selection.TopK => $"top-{d.K}",
            Selection.ExpertChoice => "experts choose",
            Selection.Cascade => $"1 of {d.K} tries",
            Selection.ExhaustionAware => "top-2, avoids full",
            Selection.TwoLevel => $"{d.GroupsKept} groups × top-{d.K}",
            Selection.TwoLevelCapacity => "top-2 × top-2",
            Selection.OnePerPrototype => $"{d.K} × top-1",
            Selection.BestPartThenTopK => $"best part, top-{d.K}",
            Selection.Sinkhorn => $"Sinkhorn top-{d.K}",
            Selection.Auction => "auction",
            Selection.OptimalAssignment => "optimal assignment",
            Selection.OptimalTransport => "transport, experts choose",
            Selection.Quantile => $"top-{d.K} − quantile",
            Selection.Batchwise => "batchwise",
            Selection.PositiveScores => "score > 0",
            Selection.DynamicTopK => "q > 0.001, then top-k",
            Selection.SparseMixer => "sparse mixer",
            Selection.BinaryCode => $"{d.K} binary codes",
            Selection.HashTable => $"table, {d.K}",
            Selection.PlaceTable => $"table by place, {d.K}",
            Selection.TaskTable => "task",
            Selection.Random => "random",
            Selection.PolicySample => "sampled",
            Selection.All => "all experts",
            Selection.SlotMixture => "slots mix tokens",
            _ => throw Unknown(d.Selection),
        };
        var later = d.Policy switch
        {
            Policy.All => "",
            Policy.Random => ", 2nd random",
            Policy.Sample => ", 2nd sampled",
            Policy.None => ", 1st only",
            Policy.Threshold => ", 2nd by threshold",
            Policy.Entropy => $", at least {d.KLeast}, more by entropy",
            _ => throw Unknown(d.Policy),
        };
        var ties = d.Ties switch
        {
            TieRule.Lowest => "",
            TieRule.Highest => ", ties high",
            TieRule.Unspecified => ", ties open",
            TieRule.BitReversedLane => ", ties by lane",
            _ => throw Unknown(d.Ties),
        };
        if (d.ForceBalance) return $"round robin, {d.K}";
        return choice + (d.BiasOfImages ? " + bias of text or images" : d.CorrectionBias ? " + bias" : "") + later + ties;
    }

    static string Scores(Dialect d) => d.Score switch
    {
        Score.Softmax => "softmax",
        Score.SoftmaxPost => d.Gate == Gate.Score ? "softmax of chosen" : "logits",
        Score.Sigmoid => "sigmoid",
        Score.SqrtSoftplus => "√softplus",
        Score.Relu => "relu",
        Score.SoftmaxOverTokens => "softmax over tokens",
        Score.SoftmaxPerPrototype => "softmax per part",
        Score.None => "–",
        _ => throw Unknown(d.Score),
    };

    static ArgumentOutOfRangeException Unknown<T>(T value) where T : struct, Enum => new(nameof(value), value, $"no words for this {typeof(T).Name}");

    static string Noise(Dialect d)
    {
        var noise = d.Noise switch
        {
            LogitNoise.NormalPerExperts => "N(0,1)·std/E",
            LogitNoise.NormalSoftplus => "N(0,1)·softplus",
            LogitNoise.UniformShift => "+U(0.9,1.1)",
            LogitNoise.Gumbel => "Gumbel",
            LogitNoise.None when d.RouterPolicy == RouterPolicy.InputJitter =>
                $"jitter {Number(d.Jitter)}" + (d.JitterReach == JitterReach.Router ? "" : ", experts too"),
            LogitNoise.None => "–",
            _ => throw Unknown(d.Noise),
        };
        var phase = d.Noise != LogitNoise.None ? d.NoisePhase : d.RouterPolicyPhase;
        return noise == "–" || phase == Phase.Training ? noise : noise + ", always";
    }

    static string Slots(Dialect d)
    {
        if (d.CapacityFormula == CapacityFormula.None) return "∞";
        if (d.CapacityFormula == CapacityFormula.UnlessZero) return "∞ (0 drops all)";
        if (d.Capacity is { } given) return given.ToString(CultureInfo.InvariantCulture);
        var (open, close) = d.CapacityRounding switch
        {
            CapacityRounding.Truncate => ("⌊", "⌋"),
            CapacityRounding.Round => ("⌊", "⌉"),
            CapacityRounding.Ceiling => ("⌈", "⌉"),
            _ => throw Unknown(d.CapacityRounding),
        };
        var formula = d.CapacityFormula switch
        {
            CapacityFormula.PerToken => $"{open}S·cf/E{close}",
            CapacityFormula.PerChoice => $"{open}S·k·cf/E{close}",
            CapacityFormula.ShareTimesFactor => $"{open}(S·k/E)·cf{close}",
            CapacityFormula.ShareTimesFactorSingle => $"{open}(S/E)·f32(cf·k){close}",
            CapacityFormula.FactorTimesWholeShare => $"{open}cf·⌈S/E⌉{close}",
            CapacityFormula.ChoicesTimesWholeShare => $"k·{open}cf·⌈S/E⌉{close}",
            CapacityFormula.ChoicesTimesShare or CapacityFormula.GivenOrChoicesTimesShare => "k·⌈S/E⌉",
            CapacityFormula.ChoicesTimesCeiling => "k·⌈(S/E)·cf⌉",
            CapacityFormula.FactorTimesShare => $"{open}cf·(k·S/E){close}",
            CapacityFormula.WholeChoicesPerExpert => "⌊⌈cf·S⌉·k/E⌋",
            CapacityFormula.FactorTimesTokens => $"{open}cf·S/E{close}",
            CapacityFormula.FactorTimesAllTokens => $"{open}cf·S{close}",
            CapacityFormula.LingvoRaised => "⌊S·cf/E⌋, 0→4",
            CapacityFormula.LingvoShuffle => "(S//E)·E",
            CapacityFormula.EqualShare => "k·S/E",
            CapacityFormula.LargestLoad => "largest load",
            CapacityFormula.Given => "given",
            _ => throw Unknown(d.CapacityFormula),
        };
        if (d.CapacityLimit == CapacityLimit.TokensThenMinimum) formula = $"min(S, {formula})";
        if (d.MinCapacity > 0) formula = $"max({formula}, {d.MinCapacity})";
        var multiple = Math.Max(d.CapacityFormula == CapacityFormula.LingvoRaised ? 4 : 1, d.CapacityMultiple);
        if (multiple > 1) formula += $" ↑{multiple}";
        var factor = d.CapacityFactor < 0 ? "off" : Number(d.CapacityFactor);
        return d.Parameters.Contains("capacity_factor") ? $"{formula}, cf {factor}{(d.EvalCapacityFactor is { } eval ? $"/{Number(eval)}" : "")}" : formula;
    }

    static string Stays(Dialect d)
    {
        if (d.CapacityFormula is CapacityFormula.None or CapacityFormula.UnlessZero) return "all";
        if (d.Selection is Selection.ExpertChoice or Selection.Batchwise or Selection.OptimalTransport or Selection.SlotMixture) return "best tokens";
        return d.DropPolicy switch
        {
            DropPolicy.Score => "best gates",
            DropPolicy.Logit => "best logits, 0 for others",
            DropPolicy.Random => "random",
            DropPolicy.None => "all",
            DropPolicy.Position => (d.Order == RequestOrder.TokenMajor ? "token by token" : d.K > 1 ? "choice by choice" : "token order")
                + (d.BatchPrioritized ? ", best first" : ""),
            _ => throw Unknown(d.DropPolicy),
        };
    }

    static string Gates(Dialect d)
    {
        var gate = d.Gate switch
        {
            Gate.One => "1",
            Gate.Table => "from the table",
            Gate.SigmoidOrSoftmax => "σ(l), softmax if k > 1",
            Gate.NearWinner => "softmax near winner",
            Gate.ScorePerExpertCount => "q / experts",
            Gate.SigmoidMix => "σ(l), mixes with x",
            Gate.BiasedScore => "score + bias",
            Gate.ScoreThroughBias => "(s + b) − b",
            Gate.Score or Gate.RankedScore => d.Score is Score.Softmax or Score.SoftmaxPost or Score.SoftmaxPerPrototype ? "p" : "s",
            _ => throw Unknown(d.Gate),
        };
        var divided = d.Normalize switch
        {
            Normalize.BeforeDrop => " / Σ before drop",
            Normalize.AfterDrop => " / Σ after drop",
            Normalize.Sum => " / Σ",
            Normalize.Norm2 => " / ‖·‖₂",
            Normalize.SumUnlessSoftmax => " (/ Σ if sigmoid)",
            Normalize.None => "",
            _ => throw Unknown(d.Normalize),
        };
        return gate + divided + (d.ScalingFactor != 1 ? $" × {Number(d.ScalingFactor)}" : "") + (d.ApplyGateTo == GatePlace.Input ? ", on the input" : "");
    }

    static string Padding(Dialect d) => (d.IgnorePadding == false ? "routed; if ignored: " : "") + d.Padding switch
    {
        PaddingRule.Skipped => "skipped",
        PaddingRule.ScoresZeroed => "scores 0, takes slots",
        PaddingRule.PicksRemoved => "picked, put back",
        PaddingRule.Routed => d.PaddingLogits == PaddingLogits.Lowered ? "logits −10⁹" : "routed",
        _ => throw Unknown(d.Padding),
    };

    static string Balance(Dialect d)
    {
        List<string> terms = [];
        var phase = d.LossPhase == Phase.Training ? ", train" : "";
        if (d.Balance == BalanceLoss.Product)
        {
            var scale = d.BalanceScale switch
            {
                BalanceScale.Experts => "E",
                BalanceScale.ExpertsOverChoices => "E/k",
                BalanceScale.OneOverExperts => "1/E",
                _ => throw Unknown(d.BalanceScale),
            };
            var count = d.BalanceCount switch
            {
                BalanceCount.AllChoices => "all k",
                BalanceCount.KeptFirst => "kept 1st",
                BalanceCount.KeptShare => "kept",
                BalanceCount.DroppedAsFirstExpert => "1st, dropped as 0",
                BalanceCount.Candidates => "tries",
                BalanceCount.FreshTopK => "own top-k",
                BalanceCount.FirstChoice => "1st",
                _ => throw Unknown(d.BalanceCount),
            };
            terms.Add($"{Number(d.GshardLoss ? d.GshardCoefficient : d.BalanceCoefficient)}·{scale}·Σ f({count})·P{Level(d.BalanceLevel)}");
            if (d.SequenceBalanceCoefficient != 0) terms.Add($"{Number(d.SequenceBalanceCoefficient)} by sequence");
            if (d.GlobalBalanceCoefficient != 0) terms.Add($"{Number(d.GlobalBalanceCoefficient)} global");
        }
        else if (d.Balance != BalanceLoss.None)
            terms.Add($"{Number(d.BalanceCoefficient)}·{Formula(d.Balance)}");
        if (d.Importance != ImportanceLoss.None) terms.Add($"{Number(d.ImportanceCoefficient)}·importance");
        if (d.Load != LoadLoss.None) terms.Add($"{Number(d.LoadCoefficient)}·load");
        if (d.EntropyLosses) terms.Add($"{Number(d.EntropyCoefficient)}·entropies");
        if (d.SparsityCoefficient != 0) terms.Add($"{Number(d.SparsityCoefficient)}·sparsity");
        if (d.BiasRate > 0 && d.CorrectionBias) terms.Add($"bias ± {Number(d.BiasRate)}");
        return terms.Count == 0 ? "–" : string.Join(" + ", terms) + phase;
    }

    static string Level(BalanceLevel level) => level switch
    {
        BalanceLevel.Group => "",
        BalanceLevel.Batch => ", batch",
        BalanceLevel.Sequence => ", by sequence",
        BalanceLevel.SequenceSum => ", Σ sequences",
        BalanceLevel.Global => ", global",
        BalanceLevel.RankShare => ", a rank's share",
        _ => throw Unknown(level),
    };

    static string Formula(BalanceLoss loss) => loss switch
    {
        BalanceLoss.VariationOfKeptMass => "CV²(kept mass)",
        BalanceLoss.TokenSquares => "n·Σ a²",
        BalanceLoss.MeanSquares => "E·Σ P²",
        BalanceLoss.BatchwiseThresholds => "thresholds",
        _ => throw Unknown(loss),
    };

    static string ZTerm(Dialect d) =>
        d.ZLoss == ZLoss.None ? "–"
            : (d.ZLoss == ZLoss.RealTokens ? "real tokens" : "all tokens") + (d.ZPhase == Phase.Training ? ", train" : "")
                + (d.ZCoefficient > 0 ? $", {Number(d.ZCoefficient)}" : "");

    static string Number(double value) => value.ToString("0.########", CultureInfo.InvariantCulture);

    const int ExampleTokens = 8, ExampleExperts = 4, ExampleCapacity = 2;

    /// <summary>Logits of the worked example: eight tokens, four experts, most of them fond of expert 0.</summary>
    public static float[] ExampleLogits { get; } =
    [
        2, 1, 0, -1, 1.5f, 1.4f, 0.2f, 0.1f, 2.5f, 0.5f, 0.4f, 0.3f, 1, 2, 1.5f, -0.5f,
        3, 1, 2, 0, 0.3f, 0.2f, 0.1f, 0.9f, 2.2f, 0.7f, 1.9f, 0.4f, 1.2f, 1.1f, 0.6f, 1.3f,
    ];

    /// <summary>
    /// What the dialect does with the example's logits, in integers that can be checked by hand; two slots an expert where it has a capacity.
    /// </summary>
    public static RoutingPlan WorkedExample(Dialect d)
    {
        var settled = d with { MinCapacity = 0, CapacityMultiple = 0 };
        if (d.CapacityFormula is not (CapacityFormula.None or CapacityFormula.UnlessZero)) settled = settled with { Capacity = ExampleCapacity };
        var call = new RouterCall
        {
            Dialect = settled,
            Groups = 1,
            Size = ExampleTokens,
            Experts = ExampleExperts,
            Training = true,
            TokenIds = [.. Enumerable.Range(0, ExampleTokens)],
            TaskIds = [.. Enumerable.Range(0, ExampleTokens).Select(t => t / 2)],
            Table = [.. Enumerable.Range(0, ExampleTokens * d.K).Select(i => (i / d.K * 3 + i % d.K) % ExampleExperts)],
            Where = d.Name,
        };
        call = call with { Draws = RouterDraws.From(call, new(new(1), 1, 0), 1) };
        return RouterFromScores.Plan(call, ExampleLogits, ExampleScores(settled, call));
    }

    /// <summary>Whether choices among experts say all: not where slots mix tokens, nor at two levels, which have logits of their own.</summary>
    public static bool HasWorkedExample(Dialect d) => d.Selection is not (Selection.SlotMixture or Selection.TwoLevel or Selection.TwoLevelCapacity);

    static float[] ExampleScores(Dialect d, RouterCall call)
    {
        double Sigmoid(double x) => 1 / (1 + ReproducibleMath.Exp(-x));
        var scores = Array.ConvertAll(ExampleLogits, l => (double)l);
        switch (d.Score)
        {
            case Score.Softmax: Normalise(scores, ExampleExperts, 1); break;
            case Score.SoftmaxPerPrototype: Normalise(scores, ExampleExperts / call.K, 1); break;
            case Score.SoftmaxOverTokens: Normalise(scores, ExampleTokens, ExampleExperts); break;
            case Score.Sigmoid: scores = Array.ConvertAll(scores, Sigmoid); break;
            case Score.SqrtSoftplus: scores = Array.ConvertAll(scores, l => Math.Sqrt(ReproducibleMath.Log(1 + ReproducibleMath.Exp(l)))); break;
            case Score.Relu: scores = Array.ConvertAll(scores, l => Math.Max(0, l)); break;
        }
        return Array.ConvertAll(scores, s => (float)s);
    }

    /// <summary>Softmax over runs of <paramref name="length"/> elements that lie <paramref name="stride"/> apart.</summary>
    static void Normalise(double[] values, int length, int stride)
    {
        for (var run = 0; run < values.Length / length; run++)
        {
            var start = stride == 1 ? run * length : run;
            double sum = 0;
            for (var i = 0; i < length; i++) sum += ReproducibleMath.Exp(values[start + i * stride]);
            for (var i = 0; i < length; i++) values[start + i * stride] = ReproducibleMath.Exp(values[start + i * stride]) / sum;
        }
    }
}
