using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Everything is routed as it should be, and the output is another one.</summary>
static class OutputRoom
{
    static readonly string[] Eval = ["plain-eval", "overflow-eval", "idle-experts-eval"];

    static Case[] Shared() => Workshop.Probes("hf.qwen2_moe", Eval);
    static Case[] Scaled() => Workshop.Probes("hf.deepseek_v3", Eval, ("scaling_factor", 2.5));

    /// <summary>A router that mixes its inputs, so that noise on them is not noise on logits.</summary>
    static Case[] Jittered()
    {
        var probes = Workshop.Probes("mesh.switch", ["plain-train", "overflow-train"]);
        return [.. probes.Select(c => c.Without("cotangent.y").Replaced("router.weight", Workshop.Mixed))];
    }

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A8", "transformers #37017",
            "a dropped token comes back as p·x → as 0, the residual carries it",
            "gate", ("dropped_output", "gate_times_input"), c => new HuggingSwitchLayer(c), c => new DroppedComesBack(c),
            Workshop.Probes("hf.switch.v4", ["overflow-eval", "collapsed-eval"], ("capacity", 3))),
        new("A9", "transformers #33969",
            "the router's noise is applied in place, so that the experts see it → to a copy",
            "y", ("jitter_reach", "router_and_experts"), c => new SwitchLayer(c), c => new NoiseInPlace(c), Jittered()),
        new("A10", "transformers #33463",
            "transposed and then reshaped: gates meet other tokens → indexed by token",
            "y", null, c => new MixtralLayer(c), c => new Reshaped(c), Workshop.Probes("hf.mixtral", Eval)),
        new("A19", "Megatron-LM e9204a5f36",
            "the noise multiplies logits → the router's input",
            "logits", null, c => new SwitchLayer(c), c => new NoiseOnLogits(c), Jittered()),
        new("A33", "lmdeploy #3491, Pai-Megatron #402",
            "the shared expert's gate is loaded and not used → its sigmoid multiplies the shared expert",
            "y", null, c => new QwenLayer(c), c => new GateBypassed(c), Shared()),
        new("A33", "SGLang #26845",
            "the shared expert is added once a rank → once",
            "y", null, c => new QwenLayer(c), c => new AddedTwice(c), Shared()),
        new("B1", "SGLang #8511, #35152",
            "the scaling factor divides the shared expert → it multiplies the routed ones alone",
            "y", null, c => new DeepSeekLayer(c), c => new SharedIsDivided(c), Scaled()),
        new("B8", "vLLM #50220",
            "row · width overflows its integer, so that other rows are read → a wider integer",
            "y", null, c => new MixtralLayer(c), c => new NarrowOffsets(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B12", "tt-metal #50669",
            "the list of an expert's tokens is read one place further → from its first",
            "y", null, c => new MixtralLayer(c), c => new OffByOne(c), Workshop.Probes("hf.mixtral", Eval)),
    ];

    sealed class DroppedComesBack(Case c) : HuggingSwitchLayer(c)
    {
        protected override double[] Weigh(int t) => [Scores[t][Expert[t][0]]];
        protected override double[] Combine(int t) => IsKept(t, 0) ? base.Combine(t) : [.. ExpertInput(t).Select(x => x * Gate[t][0])];
    }

    sealed class NoiseInPlace(Case c) : SwitchLayer(c)
    {
        protected override double[] ExpertInput(int t) => [.. Enumerable.Range(0, Width).Select(m => RouterInput(t, m))];
    }

    sealed class Reshaped(Case c) : MixtralLayer(c)
    {
        protected override double[] Combine(int t)
        {
            var y = new double[Width];
            // [T, k] as it lies in memory, read as [k, T].
            for (var j = 0; j < K; j++) Add(y, Gate[(j * Tokens + t) / K][(j * Tokens + t) % K], Feed("experts", Expert[t][j], ExpertInput(t)));
            return y;
        }
    }

    sealed class NoiseOnLogits(Case c) : SwitchLayer(c)
    {
        protected override double RouterInput(int t, int m) => X(t, m);
        protected override double[] Project(int t) => [.. base.Project(t).Select((l, e) => l * Of("draws.jitter")[t * Width + e])];
    }

    sealed class GateBypassed(Case c) : QwenLayer(c)
    {
        protected override double SharedGate(int t) => 1;
    }

    sealed class AddedTwice(Case c) : QwenLayer(c)
    {
        protected override double[] Beside(int t, double[] y) => base.Beside(t, base.Beside(t, y));
    }

    sealed class SharedIsDivided(Case c) : DeepSeekLayer(c)
    {
        protected override double SharedGate(int t) => 1 / Scaling;
    }

    sealed class NarrowOffsets(Case c) : MixtralLayer(c)
    {
        protected override double[] ExpertInput(int t)
        {
            var start = t * Width & 127;                                   // seven bits stand for 31
            return start == t * Width ? base.ExpertInput(t) : Of("x")[start..(start + Width)];
        }
    }

    sealed class OffByOne(Case c) : MixtralLayer(c)
    {
        protected override double[] Combine(int t)
        {
            var y = new double[Width];
            for (var j = 0; j < K; j++)
            {
                int[] list = [.. AllTokens.Where(s => Expert[s].Contains(Expert[t][j]))];
                Add(y, Gate[t][j], Feed("experts", Expert[t][j], ExpertInput(list[(Array.IndexOf(list, t) + 1) % list.Length])));
            }
            return y;
        }
    }
}
