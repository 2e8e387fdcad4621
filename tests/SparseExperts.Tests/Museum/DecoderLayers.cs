using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>transformers' Mixtral: softmax over all experts, the k best, over their sum; nothing is dropped.</summary>
class MixtralLayer(Case asked) : PlainLayer(asked)
{
    protected override double[] Score(double[] logits) => Softmax(logits);

    protected override double[] Weigh(int t) => OverSum(base.Weigh(t));

    protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses() => [("balance", Balance(), Asked.Dialect.BalanceCoefficient)];

    /// <summary>E·Σ_e f_e·P_e over real tokens: f counts all k choices, P is the mean softmax.</summary>
    protected virtual double Balance()
    {
        int[] real = [.. AllTokens.Where(Counts)];
        double sum = 0;
        for (var e = 0; e < Experts; e++) sum += real.Average(t => Share(t, e)) * real.Average(t => Mass(t, e));
        return Experts * sum;
    }

    protected virtual bool Counts(int t) => IsReal(t);
    protected virtual double Share(int t, int e) => Best(Logits[t], K).Contains(e) ? 1 : 0;
    protected virtual double Mass(int t, int e) => Softmax(Logits[t])[e];
}

/// <summary>Qwen2 and Qwen3: as Mixtral, gates over their sum only if norm_topk_prob; a shared expert with a sigmoid gate where the case has one.</summary>
class QwenLayer(Case asked) : MixtralLayer(asked)
{
    protected override double[] Weigh(int t) => (string?)Asked.Parameters["normalize"] == "sum" ? base.Weigh(t) : [.. Expert[t].Select(e => Scores[t][e])];
}

/// <summary>DeepSeek-V3: sigmoids, a bias for selection alone, the best groups of experts, over their sum, scaled; a shared expert.</summary>
class DeepSeekLayer(Case asked) : PlainLayer(asked)
{
    protected int ExpertGroups => (int)Setting("groups", 1);
    protected int PerGroup => Experts / ExpertGroups;

    protected override double[] Score(double[] logits) => Array.ConvertAll(logits, Sigmoid);

    protected override int[] Choose(int t)
    {
        var biased = Biased(t);
        double[] ofGroups = [.. Enumerable.Range(0, ExpertGroups).Select(g => GroupScore(biased[(g * PerGroup)..((g + 1) * PerGroup)]))];
        var kept = Best(ofGroups, (int)Setting("groups_kept", 1));
        return Best([.. biased.Select((s, e) => kept.Contains(e / PerGroup) ? s : Masked)], K);
    }

    protected double[] Biased(int t) => [.. Scores[t].Select((s, e) => Float(s + Bias(e)))];
    protected double Bias(int e) => Has("router.correction_bias") ? Of("router.correction_bias")[e] : 0;

    /// <summary>The sum of a group's two best.</summary>
    protected virtual double GroupScore(double[] scores) => scores.OrderDescending().Take(2).Sum();

    /// <summary>What experts of other groups get.</summary>
    protected virtual double Masked => double.NegativeInfinity;

    protected override double[] Weigh(int t) => [.. Normalised([.. Expert[t].Select(e => GateSource(t, e))]).Select(g => g * Scaling)];

    /// <summary>What a gate is made from: the clean score.</summary>
    protected virtual double GateSource(int t, int e) => Scores[t][e];
    protected virtual double[] Normalised(double[] gates) => OverSum(gates, 1e-20);
    protected virtual double Scaling => Asked.Dialect.ScalingFactor;

    protected override double[]? NextBias() => !Has("router.correction_bias") || Asked.Dialect.BiasRate == 0 ? null : Stepped(Count());

    protected virtual double[] Stepped(int[] counts) => [.. counts.Select((n, e) => Bias(e) + Asked.Dialect.BiasRate * Math.Sign(counts.Average() - n))];
}

/// <summary>DeepSeek-V2: softmax, a group's score is its best expert, gates as they are.</summary>
class DeepSeek2Layer(Case asked) : DeepSeekLayer(asked)
{
    protected override double[] Score(double[] logits) => Softmax(logits);
    protected override double GroupScore(double[] scores) => scores.Max();
    protected override double Masked => 0;
    protected override double[] Normalised(double[] gates) => gates;
    protected override double[]? NextBias() => null;
}

/// <summary>torchtitan: DeepSeek-V3's router without normalisation, the bias step centred.</summary>
class TorchTitanLayer(Case asked) : DeepSeekLayer(asked)
{
    protected override double[] Normalised(double[] gates) => gates;
    protected override double Activate(double h) => Math.Max(h, 0);

    protected override double[] Stepped(int[] counts)
    {
        double[] steps = [.. counts.Select(n => Asked.Dialect.BiasRate * Math.Sign(counts.Average() - n))];
        return [.. steps.Select((s, e) => Bias(e) + s - steps.Average())];
    }
}

/// <summary>Llama 4: the largest logit, whose sigmoid multiplies the expert's input; a shared expert.</summary>
class LlamaLayer(Case asked) : PlainLayer(asked)
{
    protected override double[] Score(double[] logits) => Array.ConvertAll(logits, Sigmoid);
    protected override int[] Choose(int t) => Best(Logits[t], K);

    protected override double[] Combine(int t)
    {
        var y = new double[Width];
        for (var j = 0; j < K; j++) Add(y, 1, Feed("experts", Expert[t][j], [.. ExpertInput(t).Select(x => x * Gate[t][j])]));
        return Beside(t, y);
    }
}
