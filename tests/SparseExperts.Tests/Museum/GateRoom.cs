using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>The right experts with wrong weights.</summary>
static class GateRoom
{
    static readonly string[] Eval = ["plain-eval", "overflow-eval", "idle-experts-eval", "large-eval"];
    static readonly string[] Both = ["plain-train", "plain-eval", "overflow-eval"];

    static Case[] Scaled(params string[] names) => Workshop.Probes(
        "hf.deepseek_v3", names, ("scaling_factor", 2.5), ("groups", 4), ("groups_kept", 2), ("group_mask", "minus_infinity"));
    static Case[] Llama() => Workshop.Probes("hf.llama4", Eval);

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A11", "transformers #43224, #43288",
            "the gate of choice j is read in column j → in the column of the chosen expert",
            "gate", null, c => new DeepSeek2Layer(c), c => new BySlot(c), Workshop.Probes("hf.deepseek_v2", Eval, ("groups", 4), ("groups_kept", 2))),
        new("A12", "transformers #40609",
            "scores that were left as [E, T] are read as [T, E] → they are transposed first",
            "gate", null, c => new LlamaLayer(c), c => new NotTransposed(c), Llama()),
        new("A12", "transformers #40609, as many tokens as experts",
            "scores that were left as [E, T] are read as [T, E] → they are transposed first, also where the shapes agree",
            "gate", null, c => new LlamaLayer(c), c => new NotTransposed(c), [.. Llama().Select(c => c.First(c.Get("router.weight").Size(0)))]),
        new("A13", "transformers #41647, vLLM #11971",
            "the selection bias stays in the gate → gates are made of clean scores",
            "gate", ("gate", "biased_score"), c => new DeepSeekLayer(c), c => new BiasInGate(c), Scaled(Eval)),
        new("A17", "Megatron-LM #894",
            "one expert a token and a softmax over it: every gate is 1, the router learns nothing → softmax before the top-k",
            "gate", ("score", "softmax_post"), c => new MegatronLayer(c), c => new SoftmaxOfOne(c),
            [.. Workshop.Probes("megatron.topk", Both, ("k", 1), ("score", "softmax")).Select(c => c.Without("router.correction_bias"))]),
        new("A17", "minimind #858, #859",
            "one gate is divided by itself → it stays as it is",
            "gate", ("normalize", "sum"), c => new QwenLayer(c), c => new OverItself(c), Workshop.Probes("hf.qwen3_moe", Both, ("k", 1))),
        new("B1", "sglang-jax #1282",
            "the scaling factor is forgotten → it multiplies every gate",
            "gate", ("scaling_factor", "1"), c => new DeepSeekLayer(c), c => new Unscaled(c), Scaled(Eval)),
        new("B1", "vLLM #45037",
            "the scaling factor is applied in the router and again in the layer → once",
            "gate", ("scaling_factor", "6.25"), c => new DeepSeekLayer(c), c => new ScaledTwice(c), Scaled(Eval)),
        new("B2", "FlashInfer #3875",
            "the gate is (s + b) − b in float32, which cancels → s is kept",
            "gate", ("gate", "score_through_bias"), c => new DeepSeekLayer(c), c => new Cancelled(c), Scaled(["small-scores-eval", .. Eval])),
        new("B3", "FlashInfer #2889",
            "the flag that asks for normalised gates is ignored → it is read",
            "gate", ("normalize", "none"), c => new QwenLayer(c), c => new FlagIgnored(c),
            Workshop.Probes("hf.qwen3_moe", Eval, ("normalize", "sum"))),
        new("B7", "SGLang #40187",
            "with one choice and a scaling factor the gate is what the memory held before → the scaled score",
            "gate", null, c => new DeepSeekLayer(c), c => new LeftInMemory(c),
            Workshop.Probes("hf.deepseek_v3", Eval, ("k", 1), ("scaling_factor", 2.5))),
        new("B13", "mlx-lm #1354",
            "a checkpoint with sigmoid scores is run with softmax → sigmoid",
            "scores", ("score", "softmax"), c => new LfmLayer(c), c => new SoftmaxInstead(c), Workshop.Probes("hf.lfm2_moe", Eval)),
        new("B13", "mlxcel #391",
            "the softmax is taken over the chosen → over all experts, before the top-k",
            "gate", ("normalize", "sum"), c => new QwenLayer(c), c => new SoftmaxOfChosen(c), Workshop.Probes("hf.olmoe", Eval)),
    ];

    sealed class BySlot(Case c) : DeepSeek2Layer(c)
    {
        protected override double[] Weigh(int t) => [.. Enumerable.Range(0, K).Select(j => Scores[t][j])];
    }

    sealed class NotTransposed(Case c) : LlamaLayer(c)
    {
        protected override double[] Weigh(int t)
        {
            var left = new double[Experts * Tokens];                      // [E, T], zero where the expert is not chosen
            foreach (var s in AllTokens) left[Expert[s][0] * Tokens + s] = Scores[s][Expert[s][0]];
            return [left[t * Experts + Expert[t][0]]];
        }
    }

    sealed class BiasInGate(Case c) : DeepSeekLayer(c)
    {
        protected override double GateSource(int t, int e) => Scores[t][e] + Bias(e);
    }

    sealed class SoftmaxOfOne(Case c) : MegatronLayer(c)
    {
        protected override double[] Asking(int t) => Softmax([.. Expert[t].Select(e => Logits[t][e])]);
    }

    sealed class OverItself(Case c) : QwenLayer(c)
    {
        protected override double[] Weigh(int t) => OverSum(base.Weigh(t));
    }

    sealed class Unscaled(Case c) : DeepSeekLayer(c)
    {
        protected override double Scaling => 1;
    }

    sealed class ScaledTwice(Case c) : DeepSeekLayer(c)
    {
        protected override double Scaling => base.Scaling * base.Scaling;
    }

    sealed class Cancelled(Case c) : DeepSeekLayer(c)
    {
        protected override double GateSource(int t, int e) => (float)((float)(Scores[t][e] + Bias(e)) - (float)Bias(e));
    }

    sealed class FlagIgnored(Case c) : QwenLayer(c)
    {
        protected override double[] Weigh(int t) => [.. Expert[t].Select(e => Scores[t][e])];
    }

    sealed class LeftInMemory(Case c) : DeepSeekLayer(c)
    {
        protected override double[] Weigh(int t) => t == 0 ? [0] : base.Weigh(t - 1);
    }

    class LfmLayer(Case c) : DeepSeekLayer(c)
    {
        protected override double[] Normalised(double[] gates) => OverSum(gates, 1e-6);
    }

    sealed class SoftmaxInstead(Case c) : LfmLayer(c)
    {
        protected override double[] Score(double[] logits) => Softmax(logits);
    }

    sealed class SoftmaxOfChosen(Case c) : QwenLayer(c)
    {
        protected override double[] Weigh(int t) => Softmax([.. Expert[t].Select(e => Logits[t][e])]);
    }
}
