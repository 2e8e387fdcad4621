using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Right code that looks wrong, or was reported as wrong.</summary>
sealed record Acquittal(string Id, string Where, string Says, Func<Case, PlainLayer> Layer, IReadOnlyList<Case> Inputs)
{
    static readonly string[] Eval = ["plain-eval", "overflow-eval", "idle-experts-eval"];

    public static IReadOnlyList<Acquittal> All { get; } =
    [
        new("B5", "vLLM #55514",
            "a top-k that does not sort returns the same experts in another order",
            c => new Unsorted(c), Workshop.Probes("hf.deepseek_v3", Eval)),
        new("B5", "vLLM #54403",
            "of equal scores the last is taken, where the library promises nothing",
            c => new LastOfEquals(c), Workshop.Probes("hf.mixtral", ["ties-eval"])) { AreEqualsOpen = true },
        new("B14", "vLLM #53430",
            "outputs of experts are added in the order of the batch, in float32",
            c => new AddedBackwards(c), Workshop.Probes("hf.mixtral", Eval)),
        new("B15", "DeepSeek-V3 #780",
            "tokens are sorted by expert, run, scattered back and reshaped to [T, k, M]",
            c => new SortedByExpert(c), Workshop.Probes("hf.deepseek_v3", Eval)),
        new("C12", "transformers, DBRX",
            "the router returns softmaxed weights, and the loss does not take their softmax again",
            c => new OneSoftmax(c), Workshop.Probes("hf.dbrx", Eval)),
    ];

    /// <summary>It differs in nothing but the choice among equals.</summary>
    public bool AreEqualsOpen { get; init; }

    public override string ToString() => $"{Id} {Says}";

    sealed class Unsorted(Case c) : DeepSeekLayer(c)
    {
        protected override int[] Choose(int t) => [.. base.Choose(t).Order()];
    }

    sealed class LastOfEquals(Case c) : MixtralLayer(c)
    {
        protected override int[] Choose(int t) => [.. Enumerable.Range(0, Experts).OrderByDescending(e => Scores[t][e]).ThenByDescending(e => e).Take(K)];
    }

    sealed class AddedBackwards(Case c) : MixtralLayer(c)
    {
        protected override double[] Combine(int t)
        {
            var y = new float[Width];
            for (var j = K - 1; j >= 0; j--)
            {
                var output = Feed("experts", Expert[t][j], ExpertInput(t));
                for (var m = 0; m < Width; m++) y[m] += (float)Gate[t][j] * (float)output[m];
            }
            return Array.ConvertAll(y, v => (double)v);
        }
    }

    sealed class SortedByExpert(Case c) : DeepSeekLayer(c)
    {
        protected override double[] Combine(int t)
        {
            int[] ids = [.. Expert.SelectMany(row => row)];
            int[] order = [.. Enumerable.Range(0, ids.Length).OrderBy(i => ids[i])];                     // idxs = topk_ids.view(-1).argsort()
            double[][] sorted = [.. order.Select(i => ExpertInput(i / K))];                              // sorted_tokens = x[idxs // k]
            double[][] outputs = [.. sorted.Select((x, n) => Feed("experts", ids[order[n]], x))];
            var scattered = new double[ids.Length][];
            for (var n = 0; n < order.Length; n++) scattered[order[n]] = outputs[n];                     // new_x[idxs] = outs
            var y = new double[Width];
            for (var j = 0; j < K; j++) Add(y, Gate[t][j], scattered[t * K + j]);                        // new_x.view(T, k, M)
            return Beside(t, y);
        }
    }

    sealed class OneSoftmax(Case c) : MixtralLayer(c)
    {
        protected override double Mass(int t, int e) => Scores[t][e];
    }
}
