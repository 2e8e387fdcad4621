using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Ops;

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

    /// <summary>Faults in what the router reads: its tokens, its weight, its bias, its norm.</summary>
    public static IEnumerable<FaultyCall> Router(Case c)
    {
        if (c.Find("router.weight") is not { } weight || c.Find("x") is not { } x) yield break;
        FaultyCall New(string what, string value, string sentence, params CaseTensor[] tensors) => new(new(what, value, sentence), c.With(tensors));
        CaseTensor Each(CaseTensor t, Func<double, double> value) => t with { Values = Array.ConvertAll(t.Values, v => value(v)) };
        if (c.Find("experts.x") is { } own)
        {
            var isNormed = c.Dialect.RouterNorm ? ": the norm of a norm" : "";
            yield return New("router input", "experts.x", $"the router read experts.x where it should read x{isNormed}", own with { Name = "x" });
        }
        if (c.Find("router.norm") is { } norm)
        {
            yield return New("router.norm", "1 + w", "the weight of the router's norm was read as 1 + w", Each(norm, v => 1 + v));
            yield return New("router.norm", "left out", "the router's norm was taken without its weight", Each(norm, _ => 1));
        }
        foreach (var name in (string[])["router.bias", "router.down.bias"])
        {
            if (c.Find(name) is not { } bias) continue;
            yield return New(name, "missing", $"{name} was not added", Each(bias, _ => 0));
            yield return New(name, "twice", $"{name} was added twice", Each(bias, v => 2 * v));
            yield return New(name, "subtracted", $"{name} was subtracted", Each(bias, v => -v));
        }
        if (c.Dialect.Router != Routing.RouterForm.Linear || weight.Shape.Length != 2) yield break;
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
