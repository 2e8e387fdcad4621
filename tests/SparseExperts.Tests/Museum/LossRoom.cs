using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Auxiliary losses that are constant, weak, counted wrongly, or of another scale.</summary>
static class LossRoom
{
    static readonly string[] Train = ["plain-train", "overflow-train", "idle-experts-train", "collapsed-train"];

    static Case[] Mixtral() => Workshop.Probes("hf.mixtral", Train);
    static Case[] Megatron(params (string, System.Text.Json.Nodes.JsonNode)[] parameters) =>
        Workshop.Probes("megatron.topk", Train, [("balance_coefficient", 0.01), .. parameters]);

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A1", "transformers #28093, #28205, #28256",
            "P averages a softmax over the chosen along the choices, which is 1/k: the loss is a constant → the full softmax along the tokens",
            "loss.balance", null, c => new MixtralLayer(c), c => new ConstantLoss(c), Mixtral()),
        new("A2", "transformers #31464",
            "layers are joined before f and P are multiplied, so that opposite ones cancel → a loss a layer",
            "loss.balance", null, c => new MixtralLayer(c), c => new JoinedWithOpposite(c),
            Workshop.Probes("hf.mixtral", ["overflow-train", "collapsed-train"])),
        new("A4", "transformers #45120",
            "the loss takes the softmax of a softmax → of the logits",
            "loss.balance", ("balance_mass", "double_softmax"), c => new MixtralLayer(c), c => new DoubleSoftmax(c), Mixtral()),
        new("A4", "transformers #43542",
            "the router returns its softmax under the name of logits → logits",
            "logits", null, c => new MixtralLayer(c), c => new SoftmaxAsLogits(c), Mixtral()),
        new("A5", "transformers #44242, #44586",
            "the loss is added only where logits are returned: its coefficient does nothing → it is added while training",
            "loss.total", ("balance_coefficient", "0"), c => new MixtralLayer(c), c => new NeverAdded(c), Mixtral()),
        new("A6", "transformers #43688",
            "f sums to k, the loss is k at balance where Megatron's is 1 → E/k",
            "loss.balance", ("balance_scale", "experts"), c => new MegatronLayer(c), c => new ScaledByExperts(c), Megatron()),
        new("A7", "transformers #48293",
            "the z-loss is taken of probabilities → of logits",
            "loss.z", null, c => new HuggingSwitchLayer(c), c => new ZOfProbabilities(c), Workshop.Probes("hf.switch.v4", Train)),
        new("A15", "Megatron-LM 5c8eb08f66",
            "the loss is divided by k twice → once",
            "loss.balance", null, c => new MegatronLayer(c), c => new DividedTwice(c), Megatron()),
        new("A15", "Megatron-LM #5798",
            "the loss shrinks with the number of micro-batches → it does not",
            "loss.balance", null, c => new MegatronLayer(c), c => new OverMicrobatches(c), Megatron()),
        new("A16", "Megatron-LM cfe7b066c0, #1513",
            "f counts what is kept after dropping → what was asked",
            "loss.balance", ("balance_count", "kept_first"), c => new MegatronLayer(c), c => new CountsKept(c),
            Megatron(("k", 1), ("score", "softmax"), ("capacity_factor", 0.5))),
        new("A16", "Megatron-LM cfe7b066c0, #1617",
            "f counts a map that is padded to the capacity, equal for all experts: the loss is always 1 → a fresh top-k",
            "loss.balance", null, c => new MegatronLayer(c), c => new CountsPadded(c), Megatron()),
        new("A18", "Megatron-LM e85385a761",
            "P is a softmax where the router takes sigmoids → sigmoids over their sum",
            "loss.balance", ("balance_mass", "softmax_of_logits"), c => new MegatronLayer(c), c => new SoftmaxMass(c), Megatron(("score", "sigmoid"))),
        new("A28", "aprender #2162, MaxText #1432",
            "P is made of the gates of the chosen → of the softmax over all experts",
            "loss.balance", ("balance_mass", "gates"), c => new MixtralLayer(c), c => new GatesAsMass(c), Mixtral()),
        new("A28", "hyper-parallel #752",
            "[E] meets [k] by broadcasting: the loss hardly depends on the routing → f and P of the same expert meet",
            "loss.balance", null, c => new MixtralLayer(c), c => new Broadcast(c), Mixtral()),
    ];

    sealed class ConstantLoss(Case c) : MixtralLayer(c)
    {
        protected override double Balance()
        {
            double sum = 0;
            foreach (var t in AllTokens)
                for (var e = 0; e < Experts; e++) sum += Share(t, e) * Softmax([.. Best(Logits[t], K).Select(i => Logits[t][i])]).Average();
            return Experts * sum / Tokens;
        }
    }

    /// <summary>The second layer is the first with its experts in the opposite order.</summary>
    sealed class JoinedWithOpposite(Case c) : MixtralLayer(c)
    {
        protected override double Share(int t, int e) => (base.Share(t, e) + base.Share(t, Experts - 1 - e)) / 2;
        protected override double Mass(int t, int e) => (base.Mass(t, e) + base.Mass(t, Experts - 1 - e)) / 2;
    }

    sealed class DoubleSoftmax(Case c) : MixtralLayer(c)
    {
        protected override double Mass(int t, int e) => Softmax(Softmax(Logits[t]))[e];
    }

    sealed class SoftmaxAsLogits(Case c) : MixtralLayer(c)
    {
        protected override double[][] ReportedLogits() => Scores;
    }

    sealed class NeverAdded(Case c) : MixtralLayer(c)
    {
        protected override double Total() => 0;
    }

    sealed class ScaledByExperts(Case c) : MegatronLayer(c)
    {
        protected override double BalanceScale => Experts;
    }

    sealed class ZOfProbabilities(Case c) : HuggingSwitchLayer(c)
    {
        protected override double RouterZ() => SquaredLogSum(Scores);
    }

    sealed class DividedTwice(Case c) : MegatronLayer(c)
    {
        protected override double BalanceScale => base.BalanceScale / K;
    }

    sealed class OverMicrobatches(Case c) : MegatronLayer(c)
    {
        protected override double BalanceScale => base.BalanceScale / 4;
    }

    sealed class CountsKept(Case c) : MegatronLayer(c)
    {
        protected override double Share(int t, int e) => IsKept(t, 0) && Expert[t][0] == e ? 1 : 0;
    }

    sealed class CountsPadded(Case c) : MegatronLayer(c)
    {
        protected override double Share(int t, int e) => (double)K / Experts;
    }

    sealed class SoftmaxMass(Case c) : MegatronLayer(c)
    {
        protected override double Mass(int t, int e) => Softmax(Logits[t])[e];
    }

    sealed class GatesAsMass(Case c) : MixtralLayer(c)
    {
        protected override double Mass(int t, int e) => Array.IndexOf(Expert[t], e) is >= 0 and var j ? Gate[t][j] : 0;
    }

    sealed class Broadcast(Case c) : MixtralLayer(c)
    {
        protected override double Balance()
        {
            var mass = Enumerable.Range(0, Experts).Sum(e => AllTokens.Average(t => Mass(t, e)));
            var share = Enumerable.Range(0, Experts).Sum(e => AllTokens.Average(t => Share(t, e)));
            return mass * share;
        }
    }
}
