using SparseExperts.Formats;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// The faults of a layer's output that can be made by changing its tensors: exchanged and transposed matrices, gates left out or applied otherwise, experts
/// that are missing, doubled or in another's place, the shared expert alone, twice, or scaled.
/// </summary>
public static class OutputVariants
{
    static readonly string[] Stacks = ["experts.wi", "experts.wi_gate", "experts.wo", "experts.bi", "experts.bi_gate", "experts.bo"];

    /// <summary>All faults that the call has tensors for.</summary>
    public static IEnumerable<FaultyCall> Of(Case c) => [.. Matrices(c), .. OfGates(c), .. Shared(c), .. Limits(c), .. Biases(c), .. Norms(c), .. Experts(c)];

    static FaultyCall New(Case c, string what, string value, string sentence, params IEnumerable<CaseTensor> tensors) =>
        new(new(what, value, sentence), c.With(tensors));

    static IEnumerable<FaultyCall> Matrices(Case c)
    {
        if (c.Find("experts.wi") is not { } wi || c.Find("experts.wo") is not { } wo) yield break;
        string Read(string what) => ReadTransposed(what, wi.Size(1), wi.Size(2), "F", "M");
        var second = ReadTransposed("the second matrix of the experts (wo, down_proj)", wo.Size(1), wo.Size(2), "M", "F");
        yield return New(c, "experts.wo", "transposed", second, Transposed(wo));
        yield return New(c, "experts.wi", "transposed", Read("the first matrix of the experts (wi, up_proj)"), Transposed(wi));
        if (c.Find("experts.wi_gate") is { } gate)
        {
            var both = Read("each of the first matrices of the experts (gate_proj, up_proj)");
            yield return New(c, "experts.wi_gate", "transposed", both, Transposed(wi), Transposed(gate));
            yield return New(c, "experts.wi_gate", "transposed alone", Read("the gate projection of the experts (wi_gate, gate_proj)"), Transposed(gate));
        }
        if (!c.Has("experts.wi_gate")) yield break;
        const string exchanged = "gate and up projection are exchanged: the non-linearity was applied to up";
        yield return New(c, "gate_up", "exchanged", exchanged, Exchanged(c, "experts.wi_gate", "experts.wi"));
        if (c.Has("experts.bi") && c.Has("experts.bi_gate"))
            yield return New(c, "gate_up", "exchanged with their biases", $"{exchanged}, with their biases",
                [.. Exchanged(c, "experts.wi_gate", "experts.wi"), .. Exchanged(c, "experts.bi_gate", "experts.bi")]);
        foreach (var withBias in c.Has("experts.bi") && c.Has("experts.bi_gate") ? [true, false] : (bool[])[false])
        {
            if (wi.Size(1) % 2 == 0)
            {
                const string halves = "the fused gate_up was cut in halves where its columns alternate";
                const string alternate = "the fused gate_up was read in alternate columns where it has two halves";
                yield return New(c, "gate_up_layout", "halves", halves, Recut(c, Halved, withBias));
                yield return New(c, "gate_up_layout", "alternate", alternate, Recut(c, Alternating, withBias));
            }
            foreach (var ranks in (int[])[2, 4, 8])
                if (wi.Size(1) % ranks == 0)
                    yield return New(c, "gate_up_layout", $"cut over {ranks} ranks as a whole", CutOverRanks(ranks), Recut(c, OfRanks(ranks), withBias));
        }
    }

    static string CutOverRanks(int ranks) => ranks == 2
        ? "halves of the fused projection (gate_up) went to different ranks: one has only gate, the other only up columns"
        : $"the fused projection (gate_up) was cut over {ranks} ranks as a whole: each projection has to be cut by itself";

    static CaseTensor[] Exchanged(Case c, string a, string b)
    {
        CaseTensor first = c.Get(a), second = c.Get(b);
        return [first with { Name = b }, second with { Name = a }];
    }

    /// <summary>Words for it; a matrix that is not square keeps its shape and has its numbers in another order.</summary>
    internal static string ReadTransposed(string what, int rows, int columns, string n, string m) =>
        $"{what} was read transposed{(rows == columns ? "" : $": its numbers were taken for [{m}, {n}], and they lie as [{n}, {m}]")}";

    /// <summary>[E, a, b], the numbers of every matrix taken for [b, a] and transposed.</summary>
    static CaseTensor Transposed(CaseTensor t)
    {
        int n = t.Size(1), m = t.Size(2);
        return t with { Values = [.. Enumerable.Range(0, t.Values.Length).Select(i => t.Values[i / (n * m) * n * m + i % m * n + i / m % n])] };
    }

    /// <summary>Both first projections joined in one layout and cut in the other.</summary>
    /// <param name="taken">Of F rows, the row of [gate; up] that a reader takes for row r of one of them.</param>
    static CaseTensor[] Recut(Case c, Func<int, int, bool, int> taken, bool withBias)
    {
        CaseTensor[] matrices = Recut(c.Get("experts.wi_gate"), c.Get("experts.wi"), taken);
        return withBias ? [.. matrices, .. Recut(c.Get("experts.bi_gate"), c.Get("experts.bi"), taken)] : matrices;
    }

    /// <summary>Columns that alternate, cut in halves.</summary>
    static int Halved(int f, int r, bool isUp) => (isUp ? r + f : r) is var at && at % 2 == 0 ? at / 2 : f + at / 2;

    /// <summary>Halves, read in alternate columns.</summary>
    static int Alternating(int f, int r, bool isUp) => 2 * r + (isUp ? 1 : 0);

    /// <summary>[gate; up] cut into as many pieces as there are ranks, each of which takes the first half of its piece for gate.</summary>
    static Func<int, int, bool, int> OfRanks(int ranks) => (f, r, isUp) => f / ranks is var each ? r / each * 2 * each + (isUp ? each : 0) + r % each : r;

    static CaseTensor[] Recut(CaseTensor gate, CaseTensor up, Func<int, int, bool, int> taken)
    {
        int f = gate.Size(1), m = gate.Shape.Length > 2 ? gate.Size(2) : 1;
        var (g, u) = ((double[])gate.Values.Clone(), (double[])up.Values.Clone());
        for (var e = 0; e < gate.Size(0); e++)
            for (var r = 0; r < f; r++)
                foreach (var isUp in (bool[])[false, true])
                {
                    var from = taken(f, r, isUp);
                    Array.Copy(from < f ? gate.Values : up.Values, (e * f + from % f) * m, isUp ? u : g, (e * f + r) * m, m);
                }
        return [gate with { Values = g }, up with { Values = u }];
    }

    static IEnumerable<FaultyCall> OfGates(Case c)
    {
        if (c.Find("claim.gate") is not { } gate) yield break;
        var k = gate.Size(-1);
        CaseTensor With(Func<int, double> value) => gate with { Values = [.. Enumerable.Range(0, gate.Values.Length).Select(value)] };
        yield return New(c, "gates", "left out", "the experts' outputs were added without their gates", With(i => gate.Values[i] == 0 ? 0 : 1));
        yield return New(c, "gates", "applied twice", "the gates were applied twice", With(i => gate.Values[i] * gate.Values[i]));
        yield return New(c, "gates", "mean", "the experts' outputs were averaged without their gates", With(i => gate.Values[i] == 0 ? 0 : 1.0 / k));
        yield return New(c, "gates", "root", "the roots of the gates were applied", With(i => gate.Values[i] > 0 ? Math.Sqrt(gate.Values[i]) : gate.Values[i]));
        foreach (var format in StoredFormat.Narrow)
            yield return New(c, "gates", format.Name(), $"the gates were rounded to {format.Word()} before they were applied",
                With(i => Rounding.To(format, gate.Values[i])));
        var size = gate.Size(1);
        foreach (var (by, words) in ((int, string)[])[(-1, "before"), (1, "after")])
            yield return New(c, "gates", $"of the token {words}", $"each token has the gates of the token {words} it",
                With(i => gate.Values[OtherTokens.Turned(i / k, by, size) * k + i % k]));
        if (k < 2) yield break;
        double Sum(int i) => gate.Values.AsSpan(i / k * k, k).ToArray().Sum();
        yield return New(c, "gates", "divided again", "the gates were divided by their sum before they were applied",
            With(i => Sum(i) is var sum && sum != 0 ? gate.Values[i] / sum : gate.Values[i]));
        yield return New(c, "gates", "last choice", "only the last choice of each token is in y", With(i => i % k == k - 1 ? gate.Values[i] : 0));
        yield return New(c, "gates", "first choice twice", "the first choice of each token is in y twice", With(i => (i % k == 0 ? 2 : 1) * gate.Values[i]));
        yield return New(c, "gates", "reversed", "the gates stand in the reverse order of the experts", With(i => gate.Values[i / k * k + k - 1 - i % k]));
        yield return New(c, "gates", "rotated", "each gate belongs to the choice before it", With(i => gate.Values[i / k * k + (i % k + 1) % k]));
        yield return New(c, "gates", "first choice", "only the first choice of each token is in y", With(i => i % k == 0 ? gate.Values[i] : 0));
        yield return New(c, "gates", "last choice lost", "the last choice of each token is not in y", With(i => i % k == k - 1 ? 0 : gate.Values[i]));
    }

    static IEnumerable<FaultyCall> Shared(Case c)
    {
        if (c.Find("shared.wo") is not { } shared || c.Find("experts.wo") is not { } routed) yield break;
        var (scale, output) = (c.Dialect.ScalingFactor, c.Dialect.OutputScalingFactor);
        CaseTensor Times(CaseTensor t, double factor) => t with { Values = Array.ConvertAll(t.Values, v => factor * v) };
        CaseTensor[] nothing = [.. new[] { "experts.wo", "experts.bo", "experts.output_bias" }.Select(c.Find).OfType<CaseTensor>().Select(t => Times(t, 0))];
        yield return New(c, "shared expert", "missing", "the shared expert is missing: y is the sum of the routed experts alone", Times(shared, 0));
        yield return New(c, "routed experts", "missing", "y is the shared expert alone: the routed experts add nothing", nothing);
        yield return New(c, "shared expert", "twice", "the shared expert was added twice", Times(shared, 2));
        foreach (var factor in new[] { scale, output }.Where(f => f != 1).Distinct())
        {
            string own = Multiples.Text(factor), inverse = Multiples.Text(1 / factor);
            var scaled = $"the shared expert was multiplied by the scaling factor {own}, which is for routed experts alone";
            var unscaled = $"the routed experts count {inverse} times: their scaling factor is not applied";
            var twice = $"the routed experts were multiplied by the scaling factor {own} twice";
            yield return New(c, "shared expert", "scaled", scaled, Times(shared, factor));
            yield return New(c, "shared expert", $"times {inverse}", $"the shared expert counts {inverse} times (1 / scaling_factor)",
                Times(shared, 1 / factor));
            yield return New(c, "routed experts", $"times {inverse}", unscaled, Times(routed, 1 / factor));
            yield return New(c, "routed experts", $"times {own}", twice, Times(routed, factor));
        }
        yield return New(c, "shared expert", "halved", "the shared expert counts half", Times(shared, 0.5));
        if (c.Has("shared.gate"))
            yield return new(new("shared expert's gate", "ignored", "the gate of the shared expert was left out"), c.Without("shared.gate"));
        if (c.Find("claim.shared_gate") is { } gate)
        {
            CaseTensor ones = gate with { Values = [.. gate.Values.Select(_ => 1.0)] }, squares = gate with { Values = [.. gate.Values.Select(v => v * v)] };
            yield return New(c, "shared experts' gates", "ignored", "the gates of the shared experts were left out", ones);
            yield return New(c, "shared experts' gates", "applied twice", "the gates of the shared experts were applied twice", squares);
        }
        if (c.Find("shared.wi_gate") is not null)
        {
            const string exchanged = "gate and up projection of the shared expert are exchanged";
            yield return New(c, "shared expert", "gate and up exchanged", exchanged, Exchanged(c, "shared.wi_gate", "shared.wi"));
        }
    }

    /// <summary>The limit of the activations kept in one kind of expert and not in the other.</summary>
    static IEnumerable<FaultyCall> Limits(Case c)
    {
        var d = c.Dialect;
        if (!d.Activation.IsLimited() || d.ActivationLimit == 0) yield break;
        FaultyCall Under(Dialect other, string value, string sentence) => new(new("activation_limit", value, sentence), c.Under(other));
        if (c.Has("shared.wi"))
        {
            var shared = d.SharedActivationLimit ?? d.ActivationLimit;
            const string routed = "the limit of the activations is missing in the routed experts";
            yield return Under(d with { ActivationLimit = 0, SharedActivationLimit = shared }, "not in the routed experts", routed);
            yield return Under(d with { SharedActivationLimit = shared == 0 ? d.ActivationLimit : 0 },
                shared == 0 ? "in the shared expert" : "not in the shared expert",
                shared == 0 ? "the shared expert was limited too" : "the limit of the activations is missing in the shared expert");
        }
        yield return Under(d with { ActivationLimit = 0, SharedActivationLimit = 0 }, "nowhere", "the limit of the activations is missing");
    }

    /// <summary>Biases of a second matrix that are added once a rank.</summary>
    static IEnumerable<FaultyCall> Biases(Case c)
    {
        foreach (var name in (string[])["experts.bo", "experts.output_bias"])
        {
            if (c.Find(name) is not { } bias) continue;
            foreach (var factor in (double[])[0, 2, 4, 8, c.Dialect.K])
            {
                var times = Multiples.Text(factor);
                var words = factor == 0 ? $"{name} was not added" : $"{name} was added {times} times, as by {times} ranks each";
                yield return New(c, name, $"times {times}", words, bias with { Values = Array.ConvertAll(bias.Values, v => factor * v) });
            }
        }
    }

    /// <summary>Norms around experts: RMS(o)∘w is not RMS(o∘w); what every expert's output is multiplied by can stand in the matrix behind their sum.</summary>
    static IEnumerable<FaultyCall> Norms(Case c)
    {
        if (c.Find("experts.post_norm") is not { } weight) yield break;
        var (width, ones) = (weight.Values.Length, weight with { Values = [.. weight.Values.Select(_ => 1.0)] });
        yield return New(c, "experts.post_norm", "left out", "each expert's output was normed without the norm's weight", ones);
        if (c.Find("experts.out") is not { } last || last.Size(-1) != width) yield break;
        var behind = last with { Values = [.. last.Values.Select((v, i) => v * weight.Values[i % width])] };
        yield return New(c, "experts.post_norm", "behind the root", "the weight of the experts' norm was multiplied behind the root: RMS(o)∘w, not RMS(o∘w)",
            ones, behind);
    }

    static IEnumerable<FaultyCall> Experts(Case c)
    {
        if (c.Find("experts.wo") is not { } wo) yield break;
        var experts = wo.Size(0);
        foreach (var fault in OfHiddenColumns(c, wo)) yield return fault;
        foreach (var fault in FedOtherwise(c)) yield return fault;
        yield return Placed(c, _ => 0, "0 for all", "every choice is computed with expert 0");
        if (experts % 2 == 0 && experts > 2)
            yield return Placed(c, e => (e + experts / 2) % experts, "halves exchanged", "both halves of the experts are exchanged, as those of two ranks");
        if (c.Has("experts.x"))
            yield return new(new("experts.x", "not read", "the experts read x where they should read experts.x"), c.Without("experts.x"));
        foreach (var ranks in (int[])[2, 4, 8])
        {
            if (experts % ranks != 0 || experts == ranks) continue;
            var each = experts / ranks;
            for (var rank = 0; rank < ranks; rank++)
            {
                var own = rank;
                var words = $"only experts {rank * each} to {rank * each + each - 1} add anything: those of rank {rank} of {ranks}";
                yield return New(c, "experts", $"rank {rank} of {ranks} alone", words, Weighted(c, e => e / each == own ? 1 : 0));
            }
            var interleaved = $"each token is sent to another expert: expert ids are interleaved over {ranks} ranks";
            var dealt = $"each token is sent to another expert: experts were dealt out to {ranks} ranks in turn";
            yield return Placed(c, e => e % ranks * each + e / ranks, $"interleaved over {ranks} ranks", interleaved);
            yield return Placed(c, e => e % each * ranks + e / each, $"dealt out to {ranks} ranks", dealt);
            for (var from = 0; from < ranks; from++)
                for (var to = 0; to < ranks; to++)
                {
                    if (from == to) continue;
                    var (source, target) = (from * each, to * each);
                    yield return Placed(c, e => e / each * each == target ? e - target + source : e, "copied",
                        $"experts {target} to {target + each - 1} are copies of {source} to {source + each - 1}");
                }
        }
        const string after = "expert ids are shifted by one: each token meets the expert after its own";
        yield return Placed(c, e => (e + 1) % experts, "shifted by one", after);
        const string before = "expert ids are shifted by one: each token meets the expert before its own";
        yield return Placed(c, e => (e + experts - 1) % experts, "shifted by minus one", before);
        if (experts % 2 == 0) yield return Placed(c, e => e ^ 1, "neighbours exchanged", "neighbouring experts are exchanged: 0 with 1, 2 with 3");
        yield return Placed(c, e => experts - 1 - e, "reversed", "experts stand in reverse order");
        for (var e = 0; e < experts; e++)
        {
            var own = e;
            yield return New(c, "experts", $"{e} missing", $"expert {e} adds nothing", Weighted(c, i => i == own ? 0 : 1));
            yield return New(c, "experts", $"{e} twice", $"expert {e} is in y twice", Weighted(c, i => i == own ? 2 : 1));
        }
    }

    /// <summary>Hidden columns that are cut over ranks, and the sum over these is not taken.</summary>
    static IEnumerable<FaultyCall> OfHiddenColumns(Case c, CaseTensor wo)
    {
        var hidden = wo.Size(2);
        foreach (var ranks in (int[])[2, 4])
            for (var rank = 0; rank < ranks && hidden % ranks == 0; rank++)
            {
                var (each, own) = (hidden / ranks, rank);
                var words = $"only the hidden columns of rank {rank} of {ranks} are in y: the sum over tensor-parallel ranks is missing";
                yield return New(c, "experts", $"hidden columns of rank {rank} of {ranks}", words,
                    wo with { Values = [.. wo.Values.Select((v, i) => i % hidden / each == own ? v : 0)] });
            }
    }

    /// <summary>Experts that read another token's row.</summary>
    static IEnumerable<FaultyCall> FedOtherwise(Case c)
    {
        if ((c.Find("experts.x") ?? c.Find("x")) is not { } x) yield break;
        var (size, width) = (x.Size(1), x.Size(2));
        foreach (var (by, words) in ((int, string)[])[(-1, "before"), (1, "after")])
            yield return New(c, "experts.x", $"of the token {words}", $"the experts were fed with another token: for each with the token {words} it",
                x with { Name = "experts.x", Values = [.. x.Values.Select((_, i) => x.Values[OtherTokens.Turned(i / width, by, size) * width + i % width])] });
    }

    /// <summary>Faults of all experts' matrices that some experts alone have, as where one of them was stored or loaded otherwise.</summary>
    internal static IEnumerable<FaultyCall> MatricesOf(Case c, IReadOnlyList<int> some)
    {
        var names = some.Count == 1 ? $"expert {some[0]}" : $"experts {string.Join(", ", some.SkipLast(1))} and {some[^1]}";
        foreach (var (cause, faulty) in Matrices(c))
        {
            var mixed = Stacks.Where(c.Has).Select(name => Mixed(c.Get(name), faulty.Get(name)));
            yield return New(c, cause.What, $"{cause.Value}, {names}", $"in {names} alone, {cause.Sentence}", mixed);
        }

        CaseTensor Mixed(CaseTensor right, CaseTensor wrong)
        {
            var size = right.Values.Length / right.Size(0);
            return right with { Values = [.. right.Values.Select((v, i) => some.Contains(i / size) ? wrong.Values[i] : v)] };
        }
    }

    internal static FaultyCall Placed(Case c, Func<int, int> from, string value, string sentence) =>
        New(c, "experts", value, sentence, Stacks.Select(c.Find).OfType<CaseTensor>().Select(t => OfExperts(t, from)));

    /// <summary>What experts add, each with a factor.</summary>
    internal static IEnumerable<CaseTensor> Weighted(Case c, Func<int, double> factor) =>
        new[] { "experts.wo", "experts.bo" }.Select(c.Find).OfType<CaseTensor>().Select(t =>
        {
            var size = t.Values.Length / t.Size(0);
            return t with { Values = [.. t.Values.Select((v, i) => v * factor(i / size))] };
        });

    static CaseTensor OfExperts(CaseTensor t, Func<int, int> from)
    {
        var size = t.Values.Length / t.Size(0);
        return t with { Values = [.. Enumerable.Range(0, t.Values.Length).Select(i => t.Values[from(i / size) * size + i % size])] };
    }
}
