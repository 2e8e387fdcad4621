using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From logits that depart to what the router read, or to what was given in their place.</summary>
static class LogitsCauses
{
    public static FoundCauses Find(Case held, Departure of, Func<IBackend> backend)
    {
        if (Rounded(held, of) is { } rounded) return new([rounded]);
        var found = FoundCauses.Among(held, [.. Router(held)], faulty => Stage.Agrees(faulty, "logits", of, backend)).And(Given(held, of, backend));
        var rows = held.Find("x") ?? held.Get("claim.logits");
        return found.Causes.Count > 0 ? found : found.And(FoundCauses.Among(of, Moved(of, rows.Size(0) * rows.Size(1))));
    }

    /// <summary>The right logits, each token's moved, cut off, or in other columns.</summary>
    static IEnumerable<FaultyNumbers> Moved(Departure of, int tokens)
    {
        var experts = of.Claimed.Length / tokens;
        double[] PerRow(double[] all, Func<double[], double> number) =>
            [.. all.Chunk(experts).SelectMany(row => Enumerable.Repeat(number(row), experts))];
        yield return new(new("logits", "minus their mean", "each token's mean logit was taken off"), () =>
        {
            double[] means = PerRow(of.Expected, row => row.Average()), errors = PerRow(of.Bounds, row => row.Max());
            return ([.. of.Expected.Zip(means, (v, m) => v - m)], [.. of.Bounds.Select((b, i) => b + errors[i] + of.HalfUnit(means[i]) * experts)]);
        });
        double lowest = of.Claimed.Min(), highest = of.Claimed.Max();
        double[] ends = [.. new[] { lowest, highest }.Where(end => of.Places.Any(i => of.Claimed[i] == end))];
        var cut = $"the logits were cut off at {string.Join(" and ", ends.Select(Multiples.Text))}";
        if (of.Claimed.Count(ends.Contains) > 2)
            yield return new(new("logits", "cut off", cut), () => ([.. of.Expected.Select(v => Math.Clamp(v, lowest, highest))], of.Bounds));
        if (tokens > 2 && Columns(of, experts, tokens) is { } from)
            yield return new(new("experts", "in another order", $"experts stand in another order: {string.Join(", ", from)}"), () =>
                ([.. of.Expected.Select((_, i) => of.Expected[i / experts * experts + from[i % experts]])],
                    [.. of.Bounds.Select((_, i) => of.Bounds[i / experts * experts + from[i % experts]])]));
    }

    /// <summary>Of each claimed column the one that is expected elsewhere; null where one is none, or two are the same.</summary>
    static int[]? Columns(Departure of, int experts, int tokens)
    {
        bool Are(int here, int there) => Enumerable.Range(0, tokens).All(t =>
            Math.Abs(of.Claimed[t * experts + here] - of.Expected[t * experts + there]) <= of.Bounds[t * experts + there]);
        int[] from = [.. Enumerable.Range(0, experts).Select(here => Enumerable.Range(0, experts).FirstOrDefault(there => Are(here, there), -1))];
        return from.Contains(-1) || from.Distinct().Count() < experts ? null : from;
    }

    /// <summary>From a router's state that departs to what it was made from.</summary>
    public static FoundCauses OfState(Case held, Departure of, Func<IBackend> backend) =>
        FoundCauses.Among(held, [.. Router(held)], faulty => Stage.Agrees(faulty, "router_state", of, backend));

    /// <summary>Faults in what the router reads: its tokens, its weight, its bias, its norm, the state that the layer before hands on.</summary>
    public static IEnumerable<FaultyCall> Router(Case c)
    {
        if (c.Find("router.weight") is not { } weight || c.Find("x") is not { } x) yield break;
        FaultyCall New(string what, string value, string sentence, params CaseTensor[] tensors) => new(new(what, value, sentence), c.With(tensors));
        CaseTensor Each(CaseTensor t, Func<double, double> value) => t with { Values = Array.ConvertAll(t.Values, v => value(v)) };
        if (c.Find("experts.x") is { } own)
        {
            var isNormed = c.Dialect.RouterNorm ? ": the norm of a norm" : "";
            yield return New("router input", "experts.x", $"the router read experts.x where it should read x{isNormed}", own with { Name = "x" });
            if (c.Dialect.RouterNorm)
                yield return new(new("router input", "experts.x as it is", "the router read experts.x as it is where it should read the norm of x"),
                    c.Without("router.norm").With(own with { Name = "x" }).Under(c.Dialect with { RouterNorm = false }));
        }
        if (c.Find("router.norm") is { } norm)
        {
            yield return New("router.norm", "1 + w", "the weight of the router's norm was read as 1 + w", Each(norm, v => 1 + v));
            yield return New("router.norm", "left out", "the router's norm was taken without its weight", Each(norm, _ => 1));
        }
        foreach (var fault in OfMlp(c)) yield return fault;
        foreach (var name in (string[])["router.bias", "router.down.bias", "router.mlp.b1", "router.mlp.b2"])
        {
            if (c.Find(name) is not { } bias) continue;
            yield return New(name, "missing", $"{name} was not added", Each(bias, _ => 0));
            yield return New(name, "twice", $"{name} was added twice", Each(bias, v => 2 * v));
            yield return New(name, "subtracted", $"{name} was subtracted", Each(bias, v => -v));
        }
        if (c.Dialect.Router != RouterForm.Linear || weight.Shape.Length != 2) yield break;
        var (experts, width) = (weight.Size(0), weight.Size(1));
        CaseTensor Rows(Func<int, int> from) =>
            weight with { Values = [.. Enumerable.Range(0, weight.Values.Length).Select(i => weight.Values[from(i / width) * width + i % width])] };
        yield return New("router.weight", "transposed", OutputVariants.ReadTransposed("the router's weight", experts, width, "E", "M"),
            weight with { Values = [.. Enumerable.Range(0, weight.Values.Length).Select(i => weight.Values[i % width * experts + i / width])] });
        foreach (var (value, words, from) in ExpertOrders.Of(experts)) yield return New("router.weight", value, $"rows of the router's weight: {words}",
            Rows(from));
        foreach (var format in StoredFormat.Narrow)
        {
            string name = format.Name(), word = format.Word();
            CaseTensor Narrow(CaseTensor t) => Each(t, v => Rounding.To(format, v));
            yield return New("router input", name, $"the tokens were rounded to {word} before the router", Narrow(x));
            yield return New("router.weight", name, $"the router's weight was rounded to {word}", Narrow(weight));
            yield return New("router", name, $"tokens and the router's weight were rounded to {word}", Narrow(x), Narrow(weight));
        }
    }

    /// <summary>Faults in what an MLP router has beside its last matrix.</summary>
    static IEnumerable<FaultyCall> OfMlp(Case c)
    {
        FaultyCall New(string what, string value, string sentence, params IEnumerable<CaseTensor> tensors) => new(new(what, value, sentence), c.With(tensors));
        CaseTensor Each(CaseTensor t, Func<double, double> value) => t with { Values = Array.ConvertAll(t.Values, v => value(v)) };
        if (c.Find("router.previous") is { } previous)
        {
            yield return New("router.previous", "missing", "the state that the layer before hands on was not added", Each(previous, _ => 0));
            yield return New("router.previous", "twice", "the state that the layer before hands on was added twice", Each(previous, v => 2 * v));
        }
        if (c.Find("router.previous_scale") is { } factor)
        {
            yield return New("router.previous_scale", "left out", "the state of the layer before was added without its factor", Each(factor, _ => 1));
            yield return New("router.previous_scale", "twice", "the state of the layer before was multiplied by its factor twice", Each(factor, v => v * v));
        }
        if (c.Find("router.mlp.norm") is { } norm)
        {
            yield return New("router.mlp.norm", "left out", "the norm of the router's MLP was taken without its weight", Each(norm, _ => 1));
            yield return New("router.mlp.norm", "1 + w", "the weight of the norm of the router's MLP was read as 1 + w", Each(norm, v => 1 + v));
        }
        if (c.Find("router.mlp.w1") is not { } w1 || c.Find("router.mlp.w2") is not { } w2) yield break;
        yield return New("router.mlp", "exchanged", "the hidden layers of the router's MLP are exchanged",
            w1 with { Name = w2.Name }, w2 with { Name = w1.Name });
        if (c.Find("router.mlp.b1") is { } b1 && c.Find("router.mlp.b2") is { } b2)
            yield return New("router.mlp", "without biases", "the biases of the router's MLP were not added", Each(b1, _ => 0), Each(b2, _ => 0));
    }

    /// <summary>Logits of a router that is another MLP.</summary>
    static IEnumerable<FaultyNumbers> OfOtherMlps(ClaimedCall call)
    {
        if (call.Call.Dialect.Router != RouterForm.Mlp || call.Routed.Scored.Before is not { } state) yield break;
        FaultyNumbers New(string value, string sentence, MlpForm form) => new(new("router.mlp", value, sentence),
            () => Stage.Numbers(call, MlpRouter.Logits(call.Tape, call.Call, state, call.Routed.Weights, form)));
        foreach (var (other, name) in ((Activation, string)[])[(Activation.GeluTanh, "gelu_tanh"), (Activation.Silu, "silu"), (Activation.Relu, "relu")])
            yield return New(name, $"the router's MLP has {name} where it should have gelu_erf", new() { Activation = other });
        yield return New("without its norm", "the norm of the router's MLP is missing", new() { IsNormed = false });
        yield return New("first layer alone", "the second hidden layer of the router's MLP is missing", new() { HasSecond = false });
        yield return New("second layer alone", "the first hidden layer of the router's MLP is missing", new() { HasFirst = false });
    }

    /// <summary>Other numbers than logits in their place.</summary>
    static FoundCauses Given(Case c, Departure of, Func<IBackend> backend)
    {
        if (!c.Has("router.weight")) return FoundCauses.None;
        return Stage.On(c.Without("claim.logits"), backend, call =>
        {
            var (tape, logits) = (call.Tape, call.Logits);
            FaultyNumbers New(string value, string sentence, Func<Tensor> compute) => new(new("logits", value, sentence), () => Stage.Numbers(call, compute()));
            float[] PerRow(Func<double[], double> of) =>
                [.. call.Read(logits).Values.Chunk(call.Call.Experts).SelectMany(row => Enumerable.Repeat((float)-of(row), row.Length))];
            List<FaultyNumbers> faults =
            [
                New("softmax", "the logits are probabilities: their softmax was given", () => tape.Softmax(logits)),
                New("log_softmax", "the logits are log-probabilities: their log-softmax was given", () => tape.LogSoftmax(logits)),
                New("sigmoid", "the logits are sigmoids already", () => tape.Activate(Activation.Sigmoid, logits)),
                New("minus their maximum", "each token's largest logit was taken off", () => tape.Shift(logits, PerRow(row => row.Max()))),
                New("exp", "the logits are their exponentials", () => tape.Activate(Activation.Exp, logits)),
            ];
            faults.AddRange(OfOtherMlps(call));
            if (c.Find("router.correction_bias") is { } bias)
                foreach (var (sign, words) in ((double, string)[])[(1, "hold the correction bias, which is for selection alone"),
                    (-1, "have the correction bias taken off")])
                    faults.Add(New("with the correction bias", $"the logits {words}",
                        () => tape.Shift(logits,
                            [.. Enumerable.Range(0, of.Claimed.Length).Select(i => (float)(sign * bias.Values[i % bias.Values.Length]))])));
            return FoundCauses.Among(of, faults);
        });
    }

    /// <summary>Tokens in one run of which every logit was rounded to a narrow format, while those of the others were not.</summary>
    static Cause? Rounded(Case c, Departure of)
    {
        var shape = (c.Find("x") ?? c.Get("claim.logits")).Shape;
        var tokens = (int)(shape[0] * shape[1]);
        var width = of.Claimed.Length / tokens;
        int[] departing = [.. of.Places.Select(i => i / width).Distinct()];
        bool Holds(NumberFormat format, int t) => of.Claimed.AsSpan(t * width, width).ToArray().All(v => Rounding.To(format, v) == v);
        foreach (var format in StoredFormat.Narrow)
        {
            int first = departing[0], last = departing[^1];
            while (last + 1 < tokens && Holds(format, last + 1)) last++;
            while (first > 0 && Holds(format, first - 1)) first--;
            if (first == 0 && last == tokens - 1 || !Enumerable.Range(first, last - first + 1).All(t => Holds(format, t))) continue;
            if (!of.Places.All(i => Math.Abs(of.Claimed[i] - of.Expected[i]) <= of.Bounds[i] + Rounding.HalfUnit(format, Math.Abs(of.Expected[i])))) continue;
            var others = (first, last) switch
            {
                (0, _) => $"tokens {last + 1} to {tokens - 1} were not",
                (_, var l) when l == tokens - 1 => $"tokens 0 to {first - 1} were not",
                _ => "the others were not",
            };
            return new("logits", $"rounded to {format.Name()}", $"tokens {first} to {last} were rounded to {format.Word()}, {others}");
        }
        return null;
    }
}
