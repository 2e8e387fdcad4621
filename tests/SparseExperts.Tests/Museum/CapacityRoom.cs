using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Who gets a slot, and how many there are.</summary>
static class CapacityRoom
{
    static readonly string[] Full = ["overflow-train", "overflow-eval", "few-tokens-train", "collapsed-eval"];

    static Case[] Switch() => Workshop.Probes("mesh.switch", Full);
    static Case[] Hugging() => Workshop.Probes("hf.switch.v4", ["overflow-eval", "collapsed-eval", "plain-eval"], ("capacity", 3));

    const string OnFourRanks = """{ "like": "deepspeed.topk", "name": "deepspeed.topk on four ranks", "capacity_multiple": 4 }""";

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A7", "transformers #48293",
            "the count of requests runs over an axis of length 1, so that nobody is ever dropped → over the tokens",
            "slot", ("capacity_formula", "unless_zero"), c => new HuggingSwitchLayer(c), c => new NeverFull(c), Hugging()),
        new("A21", "DeepSpeed #7986",
            "who stays is decided by raw logits beside zeros, so that negative ones lose to nobody → by probability",
            "slot", ("drop_policy", "logit"), c => new DeepSpeedLayer(c), c => new DropsByLogit(c),
            Workshop.Probes("deepspeed.topk", ["all-negative-eval", "overflow-eval", "plain-eval"])),
        new("A24", "DeepSpeed #5156",
            "the capacity is not a multiple of the tensor-parallel ranks → it is rounded up to one",
            "capacity", ("capacity_multiple", "0"), c => new SharedOutLayer(c), c => new DeepSpeedLayer(c),
            Workshop.Probes(OnFourRanks, ["overflow-eval", "plain-eval"])),
        new("A26", "FastMoE #199, #200",
            "the capacity is not divided by the experts → cf·S/E",
            "capacity", ("capacity_formula", "factor_times_all_tokens"), c => new FastSwitchLayer(c), c => new Undivided(c),
            Workshop.Probes("fastmoe.switch", ["overflow-eval", "plain-eval", "few-tokens-eval"])),
        new("A27", "st-moe-pytorch #13",
            "the count of earlier requests is overwritten by each choice, so that two tokens meet in a slot → it is added up",
            "slot", null, c => new TopNLayer(c), c => new CountOverwritten(c),
            Workshop.Probes("mesh.top_n", ["overflow-eval", "overflow-train", "plain-eval"], ("policy", "all"))),
        new("B12", "vllm-ascend #14926",
            "later experts lose tokens although they have slots left → whoever fits stays",
            "slot", null, c => new SwitchLayer(c), c => new LaterExpertsLose(c), Switch()),
        new("B12", "vllm-xpu #453",
            "the last token of an odd number has no block → blocks cover all tokens",
            "slot", null, c => new SwitchLayer(c), c => new WholeBlocks(c),
            [.. Workshop.Probes("mesh.switch", ["few-tokens-eval", "overflow-eval"]).Select(c => c.First(c.Get("x").Size(1) - 1))]),
    ];

    sealed class NeverFull(Case c) : HuggingSwitchLayer(c)
    {
        protected override int[][] Place() => [.. AllTokens.Select(t => new[] { TokensOf(t / Size).Count(s => s < t && Expert[s][0] == Expert[t][0]) })];
    }

    sealed class DropsByLogit(Case c) : DeepSpeedLayer(c)
    {
        protected override double DropKey(int t, int e) => Logits[t][e];
    }

    /// <summary>As DeepSpeed's, with as many slots on each of four ranks.</summary>
    sealed class SharedOutLayer(Case c) : DeepSpeedLayer(c)
    {
        protected override int Slots() => (base.Slots() + 3) / 4 * 4;
    }

    /// <summary>FastMoE's Switch gate in evaluation: ⌈cf·S/E⌉ slots.</summary>
    class FastSwitchLayer(Case c) : PlainLayer(c)
    {
        protected override double[] Score(double[] logits) => Softmax(logits);
        protected override double Activate(double h) => Math.Max(h, 0);
        protected override int Slots() => (int)Math.Ceiling(2.4 * Size / Experts);
    }

    sealed class Undivided(Case c) : FastSwitchLayer(c)
    {
        protected override int Slots() => (int)Math.Ceiling(2.4 * Size);
    }

    /// <summary>Mesh-TensorFlow's n choices, all used, over their sum before dropping.</summary>
    class TopNLayer(Case c) : SwitchLayer(c)
    {
        protected override double[] Weigh(int t)
        {
            var gates = OverSum([.. Expert[t].Select(e => Scores[t][e])], 1e-9);
            return [.. gates.Select((g, j) => IsKept(t, j) ? g : 0)];
        }
    }

    sealed class CountOverwritten(Case c) : TopNLayer(c)
    {
        protected override int[][] Place()
        {
            var slot = Table<int>(K);
            var before = new int[Experts];
            for (var j = 0; j < K; j++)
            {
                var asked = new int[Experts];
                foreach (var t in AllTokens) slot[t][j] = before[Expert[t][j]] + asked[Expert[t][j]]++ is var place && place < Capacity ? place : -1;
                before = asked;                                            // right: before += asked
            }
            return slot;
        }
    }

    sealed class LaterExpertsLose(Case c) : SwitchLayer(c)
    {
        bool IsLost(int t, int j, int slot) => Expert[t][j] >= Experts / 2 && slot >= 1;

        protected override int[][] Place() => [.. base.Place().Select((slots, t) => slots.Select((s, j) => IsLost(t, j, s) ? -1 : s).ToArray())];
    }

    sealed class WholeBlocks(Case c) : SwitchLayer(c)
    {
        protected override int[][] Place() => [.. base.Place().Select((slots, t) => t >= Tokens / 2 * 2 ? [.. slots.Select(_ => -1)] : slots)];
    }
}
