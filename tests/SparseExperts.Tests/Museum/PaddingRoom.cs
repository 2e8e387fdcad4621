using SparseExperts.Oracle;

namespace SparseExperts.Tests.Museum;

/// <summary>Padding that counts, and takes the places of tokens.</summary>
static class PaddingRoom
{
    static readonly string[] Padded = ["padding-train", "padding-last-train", "padding-eval"];

    public static IReadOnlyList<Exhibit> All { get; } =
    [
        new("A3", "transformers #28517",
            "padding counts in f and P → it is left out of sums and denominators",
            "loss.balance", ("balance_tokens", "all"), c => new MixtralLayer(c), c => new CountsPadding(c),
            Workshop.Probes("hf.mixtral", ["padding-train", "padding-eval"])),
        new("A34", "marin #8953",
            "padding is routed and takes the slots of tokens → it makes no choice",
            "expert", ("padding", "routed"), c => new SwitchLayer(c), c => new RoutesPadding(c), Workshop.Probes("mesh.switch", Padded)),
        new("A34", "marin #8953, seen at the slots",
            "padding is counted at the experts before it is taken out, so that tokens are dropped → it is taken out first",
            "slot", null, c => new SwitchLayer(c), c => new PaddingIsCounted(c), Workshop.Probes("mesh.switch", Padded)),
    ];

    sealed class CountsPadding(Case c) : MixtralLayer(c)
    {
        protected override bool Counts(int t) => true;
    }

    sealed class RoutesPadding(Case c) : SwitchLayer(c)
    {
        protected override int[] Choose(int t) => Best(Scores[t], K);
    }

    sealed class PaddingIsCounted(Case c) : SwitchLayer(c)
    {
        protected override int[][] Place()
        {
            var slot = Table<int>(K);
            for (var g = 0; g < Groups; g++)
            {
                var asked = new int[Experts];
                foreach (var t in TokensOf(g)) slot[t][0] = asked[First(t)]++ is var place && place < Capacity && IsReal(t) ? place : -1;
            }
            return slot;
        }
    }
}
