using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>The forward pass is right and something else is learned; counts that a step leaves behind.</summary>
static class GradientRoom
{
    static Case[] Mixtral() => Workshop.Probes("hf.mixtral", ["plain-train"], ("balance_coefficient", 1));
    static Case[] Megatron() => Workshop.Probes("megatron.topk", ["plain-train"], ("score", "sigmoid"), ("balance_coefficient", 1));
    static Case[] TorchTitan() => Workshop.Probes("torchtitan.topk", ["overflow-train", "plain-train", "idle-experts-train"]);

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A15", "Megatron-LM #3672, #5047",
            "the loss's gradient is multiplied by the tensor-parallel ranks → once",
            "grad.router.weight", null, c => new MegatronLayer(c), c => new LossPerRank(c), Megatron()),
        new("A25", "MegaBlocks #20",
            "the experts' gradients are too large by the ranks that share the experts → divided by them",
            "grad.experts.wi", null, c => new MixtralLayer(c), c => new SummedOverRanks(c), Mixtral()),
        new("A29", "NeMo Automodel #1408",
            "what carries the loss's gradient is thrown away → it is used",
            "grad.router.weight", null, c => new MixtralLayer(c), c => new LossWithoutGradient(c), Mixtral()),
        new("A30", "V-MoE #218",
            "(std/mean)² is differentiated through a root at 0: NaN at perfect balance → variance/mean²",
            "grad.router.weight", null, c => new AllExpertsLayer(c), c => new RootAtZero(c), [Uniform()]),
        new("A31", "transformers #48205",
            "the router's gradient of a rank covers its own experts and is never added up → the sum over ranks",
            "grad.router.weight", null, c => new MixtralLayer(c), c => new OwnExpertsAlone(c), Mixtral()),
        new("A32", "torchtitan #1593",
            "recomputation in the backward pass counts tokens again → once",
            "count", null, c => new TorchTitanLayer(c), c => new CountsTwice(c), TorchTitan()),
        new("A32", "torchtitan #4148",
            "batches of an evaluation count in the bias's step → those of training alone",
            "correction_bias", null, c => new TorchTitanLayer(c), c => new CountsEvaluation(c), TorchTitan()),
        new("A32", "torchtitan #1506",
            "the bias's step is not centred → its mean is taken off",
            "correction_bias", ("bias_centred", "false"), c => new TorchTitanLayer(c), c => new NotCentred(c), TorchTitan()),
    ];

    /// <summary>A router that has just been set to 0: all experts are equal.</summary>
    static Case Uniform()
    {
        var probe = Workshop.Probes("shazeer.noisy_topk", ["plain-train"], ("k", 4))[0];
        var tensors = probe.Tensors.Where(t => !t.Name.StartsWith("draws.", StringComparison.Ordinal));
        var asked = Case.Create("shazeer.noisy_topk", "eval", tensors, new() { ["k"] = probe.Get("router.weight").Size(0) }, "museum");
        return asked.Replaced("router.weight", _ => 0);
    }

    sealed class LossPerRank(Case c) : MegatronLayer(c)
    {
        protected override double Objective() => base.Objective() + Total();
    }

    sealed class SummedOverRanks(Case c) : MixtralLayer(c)
    {
        protected override double[] Gradient(string tensor)
        {
            var gradient = base.Gradient(tensor);
            return tensor.StartsWith("experts.", StringComparison.Ordinal) ? [.. gradient.Select(g => 2 * g)] : gradient;
        }
    }

    sealed class LossWithoutGradient(Case c) : MixtralLayer(c)
    {
        protected override double Objective() => base.Objective() - Total();
    }

    /// <summary>Shazeer's gate with every expert chosen, without noise: the importance of all experts is what is balanced.</summary>
    class AllExpertsLayer(Case c) : PlainLayer(c)
    {
        protected override bool ClaimsScores => false;
        protected override double[] Score(double[] logits) => logits;
        protected override double[] Weigh(int t) => Softmax([.. Expert[t].Select(e => Logits[t][e])]);
        protected override double Activate(double h) => Math.Max(h, 0);

        protected double[] Importance() => [.. Enumerable.Range(0, Experts).Select(e => AllTokens.Sum(t => Gate[t][Array.IndexOf(Expert[t], e)]))];

        protected static double Variation(double[] load) => load.Average(v => Math.Pow(v - load.Average(), 2)) / (Math.Pow(load.Average(), 2) + 1e-10);

        protected override IEnumerable<(string Name, double Value, double Coefficient)> Losses() => [("importance", Variation(Importance()), 0.1)];
    }

    sealed class RootAtZero(Case c) : AllExpertsLayer(c)
    {
        protected override double[] Gradient(string tensor)
        {
            var gradient = base.Gradient(tensor);
            var load = Importance();
            // d√v = dv / (2√v), and both are 0.
            var slope = load.Select(v => (v - load.Average()) / Math.Sqrt(load.Average(w => Math.Pow(w - load.Average(), 2)))).First();
            return tensor == "router.weight" ? [.. gradient.Select(g => g + slope)] : gradient;
        }
    }

    sealed class OwnExpertsAlone(Case c) : MixtralLayer(c)
    {
        protected override double[] Gradient(string tensor) => tensor == "router.weight"
            ? [.. base.Gradient(tensor).Select((g, i) => i / Width < Experts / 2 ? g : 0)]
            : base.Gradient(tensor);
    }

    sealed class CountsTwice(Case c) : TorchTitanLayer(c)
    {
        protected override int[] Count() => [.. base.Count().Select(n => 2 * n)];
    }

    sealed class CountsEvaluation(Case c) : TorchTitanLayer(c)
    {
        /// <summary>An evaluation batch that wants what this one does not.</summary>
        protected override double[] Stepped(int[] counts) => base.Stepped([.. counts.Select(n => n + 2 * (counts.Max() - n))]);
    }

    sealed class NotCentred(Case c) : TorchTitanLayer(c)
    {
        protected override double[] Stepped(int[] counts) => [.. counts.Select((n, e) => Bias(e) + Asked.Dialect.BiasRate * Math.Sign(counts.Average() - n))];
    }
}
