using System.Text.Json.Nodes;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>An input for an implementation to fill in: a case without claims, and what its answer decides.</summary>
public sealed record Probe(string Name, string Decides, Case Case);

/// <summary>
/// Small inputs on which implementations of one family part ways. The router's weight is a part of the identity, so that a token's first E
/// numbers are its logits, exactly, in every framework; M = E + 2, so that transposed matrices do not fit.
/// </summary>
public static class Probes
{
    /// <summary>
    /// Whether case files have tensors for a dialect at all: not for binary codes, two levels of capacity, thresholds of a batch, free numbers.
    /// </summary>
    public static bool Has(Dialect d) => CaseLayer.Has(d) && d.Selection != Selection.Batchwise && d.Router != RouterForm.Constant;

    const int Hidden = 3, Vocabulary = 16, MostChoices = 64;

    /// <summary>Logits of (group, token, expert): what a scenario is made of.</summary>
    delegate double Logits(int group, int token, int expert, double random);

    sealed record Scenario(string Name, string Decides, Logits Logits, int Groups = 1, int TimesExperts = 2)
    {
        public Func<int, int, bool>? IsPadding { get; init; }
        public int? Tokens { get; init; }
        public double? CapacityFactor { get; init; }
        public bool Gradients { get; init; }
    }

    /// <summary>
    /// Two of three tokens want expert 0, later ones more than earlier ones; on a grid so fine that nobody ties, for ties leave balance losses open.
    /// </summary>
    static double Crowded(int group, int token, int expert, double random) =>
        expert == 0 && token % 3 < 2 ? 3 + token / 16.0 : Math.Round(random * 65536) / 32768;

    static readonly Scenario[] All =
    [
        new("plain", "scores, gates, their normalisation and scale, losses, gradients", (_, _, _, u) => 4 * u - 2) { Gradients = true },
        new("ties", "which of equal scores is taken", (_, t, e, u) => t % 4 == 0 ? 1 : Math.Floor(3 * u)),
        new("near-ties", "the precision in which scores are ranked",
            (_, t, e, _) => ((t + e) % 4) switch { 0 => 1 + t / 64f, 1 => MathF.BitIncrement(1 + t / 64f), var r => 1 + t / 64f - r * 0.25 }),
        new("overflow", "the capacity, who is dropped first, what a dropped token gets", Crowded, TimesExperts: 3),
        new("few-tokens", "the least capacity", (_, t, e, u) => e == 0 ? 2 : u) { Tokens = 2 },
        new("padding", "whether padding is routed, takes slots, and counts in losses", Crowded, TimesExperts: 3) { IsPadding = (_, t) => t == 0 || t % 5 == 2 },
        new("padding-last", "the same with padding at the end of each of two groups", Crowded, Groups: 2) { IsPadding = (g, t) => t >= (g == 0 ? 9 : 12) },
        new("groups", "whether groups compete for capacity apart", Crowded, Groups: 2),
        new("idle-experts", "what becomes of experts that nobody wants", (_, t, e, u) => e % 2 == 0 ? 2 + u : -6 + u),
        new("collapsed", "the losses at their largest", (_, t, e, u) => e == 1 ? 12 : u),
        new("all-negative", "ranking by raw logits beside zeros", (_, t, e, u) => -5 + 4 * u),
        new("large", "the range of the scores: logits up to ±100", (_, t, e, u) => 200 * u - 100),
        new("small-scores", "gates recovered by subtraction: scores near 1e-4", (_, t, e, u) => -9 - u),
        new("capacity-arithmetic", "single or double precision in the capacity: factor 1.2", Crowded) { Tokens = 400, CapacityFactor = 1.2 },
    ];

    /// <summary>All inputs that the dialect can run on, in both modes or in one.</summary>
    /// <exception cref="CaseException">The format has no tensors for the dialect's router.</exception>
    public static IReadOnlyList<Probe> Of(Dialect dialect, string? mode = null)
    {
        if (!Has(dialect))
            throw new CaseException($"{dialect.Name}: case files have no tensors for its router; probe another dialect");
        if (dialect.K > MostChoices || dialect.Groups > MostChoices)
            throw new CaseException($"{dialect.Name}: k {dialect.K} and groups {dialect.Groups}: probes are small, choose at most {MostChoices} of each");
        var probes = new List<Probe>();
        foreach (var scenario in All)
            foreach (var each in mode is null ? ["eval", "train"] : (string[])[mode])
                if (Suits(scenario, dialect)) probes.Add(new($"{scenario.Name}-{each}", scenario.Decides, Build(dialect, scenario, each)));
        return probes;
    }

    /// <summary>
    /// Balanced assignments need numbers of tokens that they can share out; Sinkhorn's iterations need experts that somebody wants, and take no maximum
    /// off.
    /// </summary>
    static bool Suits(Scenario scenario, Dialect d) =>
        (scenario.Tokens is null || d.Selection is not (Selection.Auction or Selection.OptimalAssignment or Selection.Sinkhorn or Selection.Quantile
            or Selection.ExpertChoice or Selection.SlotMixture))
        && (scenario.CapacityFactor is null || d.Parameters.Contains("capacity_factor"))
        && (scenario.Name is not ("idle-experts" or "collapsed" or "large") || d.Selection is not (Selection.Sinkhorn or Selection.OptimalTransport));

    /// <summary>At least twice as many experts as choices, in groups that the dialect can share out.</summary>
    static int Experts(Dialect d)
    {
        var groups = Math.Max(1, d.Groups);
        var inside = Math.Max(2, (d.K + d.GroupsKept - 1) / d.GroupsKept);
        if (d.Selection is Selection.TwoLevel or Selection.BestPartThenTopK) inside = Math.Max(inside, d.K + 1);
        var experts = groups > 1 ? groups * inside : Math.Max(8, 2 * d.K);
        if (d.Router == RouterForm.ProductKeys) return DialectRules.Fitting(d, experts);
        return d.Selection == Selection.OnePerPrototype ? (experts + d.K - 1) / d.K * d.K : experts;
    }

    static Case Build(Dialect d, Scenario scenario, string mode)
    {
        int experts = Experts(d), groups = scenario.Groups, size = scenario.Tokens ?? scenario.TimesExperts * experts;
        int tokens = groups * size, width = experts + 2;
        var random = new Stream(scenario.Name);
        var tensors = new List<CaseTensor>();
        void Add(string name, double[] values, params long[] shape) => tensors.Add(new(name, "F32", shape, Array.ConvertAll(values, v => (double)(float)v)));
        void Whole(string name, string type, Func<int, double> value, params long[] shape) =>
            tensors.Add(new(name, type, shape, [.. Enumerable.Range(0, (int)shape.Aggregate((a, b) => a * b)).Select(value)]));

        // Tokens whose first E numbers are the logits.
        var x = new double[tokens * width];
        for (var i = 0; i < x.Length; i++)
        {
            int t = i / width, e = i % width;
            x[i] = e < experts ? scenario.Logits(t / size, t % size, e, random.Uniform()) : random.Coarse();
        }
        Add("x", x, groups, size, width);
        if (scenario.IsPadding is { } padding) Whole("padding", "U8", t => padding(t / size, t % size) ? 0 : 1, groups, size);
        double[] Unit(int rows) => [.. Enumerable.Range(0, rows * width).Select(i => i / width == i % width ? 1.0 : 0)];

        // The router, or logits where the format has no tensors for it.
        var weights = new ProbeWeights(d, experts, width, random.Coarse);
        tensors.AddRange(weights.Router(groups, size));
        var linear = d.Router == RouterForm.Linear;
        if (linear) Add("router.weight", Unit(experts), experts, width);
        else if (d.Router == RouterForm.Mlp) Add("router.weight", random.Coarse(experts * weights.LastWidth), experts, weights.LastWidth);
        else if (d.Router == RouterForm.SlotSimilarity)
        {
            Add("router.slots", random.Coarse(experts * 2 * width), experts, 2, width);
            Add("router.scale", [1.5], 1);
        }
        else if (d.Router == RouterForm.TwoLevel)
        {
            Add("router.primary.weight", random.Coarse(d.Groups * width), d.Groups, width);
            Add("router.secondary.weight", random.Coarse(experts * width), d.Groups, experts / d.Groups, width);
            Add("router.primary.noise_weight", random.Coarse(d.Groups * width), d.Groups, width);
            Add("router.secondary.noise_weight", random.Coarse(experts * width), d.Groups, experts / d.Groups, width);
        }
        else if (d.Router is not (RouterForm.None or RouterForm.ProductKeys))
            Add("claim.logits", [.. Enumerable.Range(0, tokens * experts).Select(i => x[i / experts * width + i % experts])], groups, size, experts);
        if (linear && d.RouterBias) Add("router.bias", random.Coarse(experts), experts);
        double[] OfExperts(Func<int, double> value) => [.. Enumerable.Range(0, experts).Select(value)];
        double Bias(int e) => scenario.Name == "small-scores" ? 12 + e % 3 / 8.0 : (e * 5 % experts - experts / 2) / 16.0;
        if (d.CorrectionBias) Add("router.correction_bias", OfExperts(Bias), experts);
        if (d.BiasOfImages) Add("router.correction_bias.images", OfExperts(e => Bias(experts - 1 - e)), experts);
        if (d.CountsElsewhere) Add("router.previous_count", OfExperts(e => Math.Max(1, d.PreviousBatches) * (tokens * d.K / experts + e % 3)), experts);
        if (d.Noise == LogitNoise.NormalSoftplus && linear) Add("router.noise_weight", random.Coarse(experts * width), experts, width);
        var rows = d.Selection == Selection.PlaceTable ? tokens : Vocabulary;
        if (d.Selection is Selection.HashTable or Selection.PlaceTable) Whole("router.table", "I32", i => (i / d.K * 3 + i % d.K) % experts, rows, d.K);
        if (d.Gate == Gate.Table) Add("router.table_gates", random.Coarse(rows * d.K), rows, d.K);
        if (d.Selection == Selection.HashTable || d.Router == RouterForm.LinearWithEmbedding) Whole("token_ids", "I32", t => t * 7 % Vocabulary, groups, size);
        if (d.Selection == Selection.TaskTable || d.BiasOfImages || d.Router is RouterForm.LinearPerTask or RouterForm.TaskEmbedding)
            Whole("task_ids", "I32", t => t / 3 % 4, groups, size);

        // Experts of small multiples of 1/16: their products are short. The format does not hold the learned pair of a residual layer.
        int held = experts - d.IdentityExperts - d.NullExperts, hidden = Hidden, inner = weights.ExpertWidth;
        long[] one = weights.Shared;
        if (d.Combination != Combination.LearnedPair)
        {
            Add("experts.wi", random.Coarse(held * hidden * inner), held, hidden, inner);
            if (d.GatedExperts) Add("experts.wi_gate", random.Coarse(held * hidden * inner), held, hidden, inner);
            Add("experts.wo", random.Coarse(held * hidden * inner), held, inner, hidden);
            tensors.AddRange(weights.Experts());
            if (d.SharedExpert)
            {
                var count = (int)one.Append(hidden * width).Aggregate((a, b) => a * b);
                Add("shared.wi", random.Coarse(count), [.. one, hidden, width]);
                if (d.GatedExperts) Add("shared.wi_gate", random.Coarse(count), [.. one, hidden, width]);
                Add("shared.wo", random.Coarse(count), [.. one, width, hidden]);
                if (d.SharedGate) Add("shared.gate", random.Coarse(width), width);
            }
            if (scenario.Gradients && mode == "train" && (linear || d.Router is RouterForm.Mlp or RouterForm.ProductKeys))
                Add("cotangent.y", random.Coarse(tokens * width), groups, size, width);
        }

        var parameters = new JsonObject();
        if (scenario.CapacityFactor is { } factor) parameters["capacity_factor"] = factor;
        var dialect = d.Evidence == Evidence.Own || BuiltIn.Find(d.Name) is null ? DialectFile.ToJson(d).ToJsonString() : d.Name;
        var asked = Case.Create(dialect, mode, tensors, parameters, "moe probe", scenario.Decides, $"{scenario.Name}-{mode}");
        return asked.With(Draws(asked, width));
    }

    /// <summary>The random numbers that the call asks for.</summary>
    static IEnumerable<CaseTensor> Draws(Case asked, int width)
    {
        var call = CaseCall.Of(asked);
        var draws = RouterDraws.From(call, new(new(17), 1, 0), width);
        return DrawKinds.All.Where(kind => kind.Of(draws) is not null)
            .Select(kind => new CaseTensor($"draws.{kind.Name}", "F32", kind.Sizes(call, width), Array.ConvertAll(kind.Of(draws)!, v => (double)v)));
    }

    /// <summary>Numbers that are the same on every machine.</summary>
    sealed class Stream(string name)
    {
        readonly RandomStream _stream = new(name.Aggregate(17UL, (hash, c) => hash * 31 + c), 0);
        ulong _next;

        public double Uniform() => Philox.UniformDouble(_stream, _next++);

        /// <summary>A multiple of 1/16 within [−1, 1].</summary>
        public double Coarse() => Math.Round(32 * Uniform() - 16) / 16;
        public double[] Coarse(int count) => [.. Enumerable.Range(0, count).Select(_ => Coarse())];
    }
}
