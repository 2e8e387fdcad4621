using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Wrong experts are chosen.</summary>
static class SelectionRoom
{
    static readonly string[] Eval = ["plain-eval", "overflow-eval", "idle-experts-eval", "all-negative-eval"];
    static readonly string[] Negative = ["all-negative-eval", "plain-eval", "overflow-eval"];

    static Case[] InGroups(params string[] names) => Workshop.Probes("deepseek.inference_v3", names, ("groups", 4), ("groups_kept", 2));

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A14", "transformers #45440, #45441",
            "experts of groups that were not kept get 0 and beat negative scores → they get −∞",
            "expert", ("group_mask", "zero"), c => new DeepSeekLayer(c), c => new MaskedWithZero(c),
            [.. InGroups(Negative).Select(c => c.Replaced("router.correction_bias", e => e / 16.0 - 1.5))]),
        new("A14", "vLLM #13474, SGLang #3705",
            "a group is scored by its best expert → by the sum of its two best",
            "expert", ("group_score", "max"), c => new DeepSeekLayer(c), c => new BestOfGroup(c), InGroups(Eval)),
        new("A22", "DeepSpeed #8620",
            "the second expert is sampled in evaluation too → only where sampling is asked for",
            "expert", ("policy", "sample"), c => new DeepSpeedTop2Layer(c), c => new SampledSecond(c),
            [.. Workshop.Probes("deepspeed.top2", Eval, ("policy", "sample")).Select(c => AsAll(c))]),
        new("A35", "MoLE #7",
            "a k that an ablation needed is left in: four experts a token → two",
            "expert", ("k", "4"), c => new MixtralLayer(c), c => new MoreChoices(c), Workshop.Probes("hf.mixtral", Eval)),
        new("A35", "MoSA #3, OLMoE #46",
            "experts choose their best tokens in a causal model, so that a later token moves an earlier one → tokens choose",
            "combine", null, c => new QwenLayer(c), c => new ExpertsChooseLayer(c), Workshop.Probes("hf.qwen3_moe", Eval)),
        new("B3", "FlashInfer #3011",
            "an expert comes twice in a row of ids → k different experts",
            "expert", null, c => new MixtralLayer(c), c => new Twice(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B5", "SGLang #31768",
            "3·10⁻⁷ times the index is taken off to break ties, and changes real selections → scores are ranked as they are",
            "expert", null, c => new MixtralLayer(c), c => new Nudged(c), Workshop.Probes("hf.mixtral", ["near-ties-eval", "plain-eval"])),
        new("B6", "SGLang #8125",
            "the last of k + 1 unsorted choices makes room for the shared expert → the smallest does",
            "expert", null, c => new DeepSeekLayer(c), c => new LastMakesRoom(c), Workshop.Probes("hf.deepseek_v3", Eval)),
        new("B10", "TransformerEngine #1944, #2009",
            "the largest logit is searched from 0 on, so that negative ones never win → from −∞ on",
            "expert", null, c => new MegatronLayer(c), c => new SearchedFromZero(c),
            Workshop.Probes("megatron.topk", Negative, ("k", 1), ("score", "softmax"))),
        new("B11", "kekzl/imp #2056",
            "256 threads, an expert each: experts from 256 on are never chosen → every expert is looked at",
            "expert", null, c => new MixtralLayer(c), c => new FirstThreads(c), [ManyExperts()]),
    ];

    /// <summary>The same calls, claimed to take the second best expert.</summary>
    static Case AsAll(Case sampled) =>
        Case.Create("deepspeed.top2", sampled.Mode, sampled.Tensors, new() { ["policy"] = "all" }, "museum", sampled.Note, sampled.Path);

    /// <summary>Four tokens whose best experts lie on both sides of 256.</summary>
    static Case ManyExperts()
    {
        const int tokens = 4, experts = 512;
        static double Logit(int token, int expert, int place)
        {
            if (expert == 100 + 60 * token) return 9;
            return expert == 511 - 150 * token ? 8 : place * 37 % 509 / 64.0 - 4;
        }
        double[] logits = [.. Enumerable.Range(0, tokens * experts).Select(i => Logit(i / experts, i % experts, i))];
        CaseTensor[] tensors = [new("x", "F32", [1, tokens, 1], new double[tokens]), new("claim.logits", "F32", [1, tokens, experts], logits)];
        return Case.Create("hf.mixtral", "eval", tensors, producer: "museum");
    }

    sealed class MaskedWithZero(Case c) : DeepSeekLayer(c)
    {
        protected override double Masked => 0;
    }

    sealed class BestOfGroup(Case c) : DeepSeekLayer(c)
    {
        protected override double GroupScore(double[] scores) => scores.Max();
    }

    sealed class SampledSecond(Case c) : DeepSpeedTop2Layer(c)
    {
        protected override int Second(int t, int first) => Best([.. Logits[t].Select((l, e) => l + Gumbel(t, e))], 2).First(e => e != first);

        double Gumbel(int t, int e) => -Math.Log(-Math.Log(Of("draws.uniform_gumbel")[t * Experts + e]));
    }

    sealed class MoreChoices(Case c) : MixtralLayer(c)
    {
        protected override int K => 4;
    }

    sealed class Twice(Case c) : MixtralLayer(c)
    {
        protected override int[] Choose(int t) => t % 5 == 3 ? [.. Enumerable.Repeat(base.Choose(t)[0], K)] : base.Choose(t);
    }

    sealed class Nudged(Case c) : MixtralLayer(c)
    {
        protected override int[] Choose(int t) => Best([.. Scores[t].Select((s, e) => s - 3e-7 * e)], K);
    }

    sealed class LastMakesRoom(Case c) : DeepSeekLayer(c)
    {
        protected override int[] Choose(int t) => [.. Best(Biased(t), K + 1).Order().Take(K)];
    }

    sealed class SearchedFromZero(Case c) : MegatronLayer(c)
    {
        protected override int[] Choose(int t)
        {
            var (best, winner) = (0.0, 0);
            for (var e = 0; e < Experts; e++)
                if (Logits[t][e] + Bias(e) > best) (best, winner) = (Logits[t][e] + Bias(e), e);
            return [winner];
        }
    }

    sealed class FirstThreads(Case c) : MixtralLayer(c)
    {
        protected override int[] Choose(int t) => Best(Scores[t][..256], K);
    }
}
