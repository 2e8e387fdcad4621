using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>The right formula in too few bits, and numbers that are no numbers.</summary>
static class NumericsRoom
{
    static readonly string[] Eval = ["plain-eval", "overflow-eval", "near-ties-eval"];

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A20", "Megatron-LM #7081",
            "tokens are counted in bfloat16, which turns the sign of the bias's step → in integers",
            "correction_bias", null, c => new MegatronLayer(c), c => new BrainCounts(c), [Counted(519, 525, 517, 517)]),
        new("B4", "vLLM #39391",
            "a NaN inside the kernel gives an expert that does not exist → ids of experts, whatever the numbers",
            Exhibit.Refused, null, c => new MixtralLayer(c), c => new NoSuchExpert(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B4", "SGLang #30079",
            "a NaN inside the kernel gives expert 0 twice → different experts",
            "expert", null, c => new MixtralLayer(c), c => new FirstTwice(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B9", "vLLM #15045, mlx-lm #938",
            "experts' outputs are added in bfloat16 → in float32",
            "y", null, c => new MixtralLayer(c), c => new BrainSums(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B9", "AstrAI #57",
            "probabilities are made in bfloat16, where near ones tie, and then ranked → in float32",
            "scores", ("score_dtype", "bf16"), c => new MixtralLayer(c), c => new BrainScores(c),
            Workshop.Probes("hf.mixtral", ["near-ties-eval", "plain-eval"])),
    ];

    /// <summary>One token after the other to expert 0, 1, … until each has its count.</summary>
    static Case Counted(params int[] counts)
    {
        int tokens = counts.Sum(), experts = counts.Length;
        int[] wanted = [.. counts.SelectMany((n, e) => Enumerable.Repeat(e, n))];
        double[] One(int rows, Func<int, int> at) => [.. Enumerable.Range(0, rows * experts).Select(i => i % experts == at(i / experts) ? 1.0 : 0)];
        CaseTensor[] tensors =
        [
            new("x", "F32", [1, tokens, experts], One(tokens, t => wanted[t])),
            new("router.weight", "F32", [experts, experts], One(experts, e => e)),
            new("router.correction_bias", "F32", [experts], new double[experts]),
        ];
        return Case.Create("megatron.topk", "train", tensors, new() { ["k"] = 1, ["score"] = "sigmoid" }, "museum");
    }

    /// <summary>To nearest of 8 significant bits, half to even.</summary>
    static double Brain(double value)
    {
        if (value == 0 || !double.IsFinite(value)) return value;
        var unit = Math.ScaleB(1, Math.ILogB(value) - 7);
        return Math.Round(value / unit, MidpointRounding.ToEven) * unit;
    }

    sealed class BrainCounts(Case c) : MegatronLayer(c)
    {
        protected override double[] Stepped(int[] counts) => base.Stepped([.. counts.Select(n => (int)Brain(n))]);
    }

    sealed class NoSuchExpert(Case c) : MixtralLayer(c)
    {
        protected override int[][] ReportedExperts() => [.. Expert.Select((ids, t) => t == 2 ? [Experts, Experts + 1] : ids)];
    }

    sealed class FirstTwice(Case c) : MixtralLayer(c)
    {
        protected override int[] Choose(int t) => t == 2 ? new int[K] : base.Choose(t);
    }

    sealed class BrainSums(Case c) : MixtralLayer(c)
    {
        protected override double[] Combine(int t)
        {
            var y = new double[Width];
            for (var j = 0; j < K; j++)
            {
                Add(y, Gate[t][j], Feed("experts", Expert[t][j], ExpertInput(t)));
                y = [.. y.Select(Brain)];
            }
            return y;
        }
    }

    sealed class BrainScores(Case c) : MixtralLayer(c)
    {
        protected override double[] Score(double[] logits) => [.. base.Score(logits).Select(Brain)];
    }
}
