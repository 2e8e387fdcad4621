using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Tests.Oracle;

/// <summary>More faults that are planted: rounding, orders, ranks, matrices read otherwise, and what only a gradient shows.</summary>
static partial class Planting
{
    public static IReadOnlyList<Fault> Kinds { get; } =
    [
        // Router and scores.
        new("router weight read as [M, E]", "logits", ["transposed"], c => c.Has("draws.jitter") || c.Has("draws.noise") ? null
            : Logits(c, v => Product(c, Flat(c.Get("router.weight"), 1)))),
        new("halves of the experts exchanged", "logits", ["halves"], c => Logits(c, v => Rows(v, Sizes(c).Experts, row => [.. Half(row, 1), .. Half(row, 0)]))),
        new("experts in some order", "logits", ["in another order: 2, 0, 1"],
            c => Logits(c, v => Rows(v, Sizes(c).Experts, row => [row[2], row[0], row[1], .. row[3..]]))),
        new("mean taken off", "logits", ["mean logit"], c => Logits(c, v => Rows(v, Sizes(c).Experts, row => [.. row.Select(z => z - row.Average())]))),
        new("logits cut off", "logits", ["cut off at -1", "cut off at 1"], c => Logits(c, v => Each(v, z => Math.Clamp(z, -1, 1)))),
        new("softmax over tokens", "scores", ["over the tokens"], c => Softmaxed(c, OverTokens)),
        new("scores of bfloat16 logits", "scores", ["rounded to bfloat16 before the scores"],
            c => Softmaxed(c, v => Rows(Each(v, Bf16), Sizes(c).Experts, Softmax))),
        // Choices and counts.
        new("choices of the token before", "expert", ["the token before it"],
            c => IsPlain(c) ? With(c, "claim.expert", v => Turned(c, v, Sizes(c).K)) : null),
        new("last expert never chosen", "expert", ["never chosen"], c => Chosen(c, (row, e) => e < row.Length - 1 ? row[e] : double.NegativeInfinity)),
        new("ranked by size", "expert", ["whatever the sign"], c => Chosen(c, (row, e) => Math.Abs(row[e]))),
        new("counted on two ranks", "slot", ["2 ranks"], c => Sizes(c).Size % 2 > 0 ? null : Slots(c, (asked, before, last, kept) => asked + before, ranks: 2)),
        new("a choice lost, all lost", "slot", ["loses all"], c => Sizes(c).K < 2 || !c.Has("claim.expert") ? null
            : With(c, "claim.slot", v => Rows(v, Sizes(c).K, row => row.Any(s => s < 0) ? [.. row.Select(_ => -1.0)] : row))),
        new("counts doubled", "count", ["2 times"], c => With(c, "claim.count", v => Each(v, n => 2 * n))),
        new("one too many of each", "count", ["one token more"], c => With(c, "claim.count", v => Each(v, n => n + 1))),
        // Gates.
        new("softmax of the gates", "gate", ["softmax"],
            c => Sizes(c).K < 2 || c.Has("claim.slot") ? null : With(c, "claim.gate", v => Rows(v, Sizes(c).K, Softmax))),
        new("gates over the largest", "gate", ["divided by the largest", "gate_norm"],
            c => Sizes(c).K < 2 || c.Has("claim.slot") ? null : With(c, "claim.gate", v => Rows(v, Sizes(c).K, row => [.. row.Select(g => g / row.Max())]))),
        // The bias's step.
        new("the step alone", "correction_bias", ["is lost"],
            c => With(c, "claim.correction_bias", v => [.. v.Zip(c.Get("router.correction_bias").Values, (b, old) => b - old)])),
        new("centred", "correction_bias", ["mean was taken off", "bias_centred"],
            c => With(c, "claim.correction_bias", v => [.. v.Select(b => b - v.Average())])),
        // The output.
        new("y in bfloat16", "y", ["rounded to bfloat16"], c => With(c, "claim.y", v => Each(v, Bf16))),
        new("wi read as [M, F]", "y", ["transposed"], c => Output(c, c.With(c.Get("experts.wi") with { Values = Flat(c.Get("experts.wi"), 0) }))),
        new("wo read as [F, M]", "y", ["transposed"], c => Output(c, c.With(c.Get("experts.wo") with { Values = Flat(c.Get("experts.wo"), 0) }))),
        new("expert 0 computes all", "y", ["expert 0"], c => OfExperts(c, (e, n) => 0)),
        new("experts of two ranks exchanged", "y", ["halves"], c => OfExperts(c, (e, n) => (e + n / 2) % n)),
        new("gates' roots", "y", ["roots"], c => OfGates(c, v => Each(v, g => g > 0 ? Math.Sqrt(g) : g))),
        new("gates in bfloat16", "y", ["gates were rounded to bfloat16"], c => OfGates(c, v => Each(v, Bf16))),
        new("gates of the token before", "y", ["gates of the token before"], c => OfGates(c, v => Turned(c, v, Sizes(c).K))),
        new("last choice alone", "y", ["last choice"],
            c => Sizes(c).K < 2 ? null : OfGates(c, v => [.. v.Select((g, i) => (i + 1) % Sizes(c).K == 0 ? g : 0)])),
        new("first choice twice", "y", ["twice"], c => Sizes(c).K < 2 ? null : OfGates(c, v => [.. v.Select((g, i) => i % Sizes(c).K == 0 ? 2 * g : g)])),
        new("experts fed with the token before", "y", ["fed with another token"], c => c.Has("experts.x") ? null
            : Output(c, c.With(c.Get("x") with { Name = "experts.x", Values = Turned(c, c.Get("x").Values, c.Get("x").Size(-1)) }))),
        new("shared expert times 0.4", "y", ["0.4 times"], c => c.Find("shared.wo") is { } shared
            ? Output(c, c.With(shared with { Values = Each(shared.Values, v => 0.4 * v) })) : null),
        new("padding has no output", "y", ["output of padding is 0"], c => c.Has("padding")
            ? With(c, "claim.y", v => [.. v.Select((y, i) => IsReal(c, i / c.Get("claim.y").Size(-1)) ? y : 0)]) : null),
        // Gradients.
        new("an expert without gradient", "grad.experts.wi", ["got no gradient"],
            c => With(c, "claim.grad.experts.wi", v => [.. v.Select((g, i) => i / (v.Length / Sizes(c).Experts) == 1 ? 0 : g)])),
        new("gradient of the token before", "grad.x", ["the token before it"], c => With(c, "claim.grad.x", v => Turned(c, v, c.Get("x").Size(-1)))),
        new("gradient transposed", "grad.experts.wo", ["transposed"],
            c => With(c, "claim.grad.experts.wo", v => Flat(c.Get("experts.wo") with { Values = v }, 0))),
        new("gradient in bfloat16", "grad.x", ["rounded to bfloat16"], c => With(c, "claim.grad.x", v => Each(v, Bf16))),
    ];

    static double Bf16(double v) => Rounding.To(NumberFormat.BFloat16, v);

    static double[] Half(double[] row, int which) => row[(which * row.Length / 2)..((which + 1) * row.Length / 2)];

    static Case? Logits(Case c, Func<double[], double[]> change) => c.Has("router.weight") && !c.Has("router.bias") ? With(c, "claim.logits", change) : null;

    static double[] Product(Case c, double[] weight)
    {
        var (x, width, experts) = (c.Get("x").Values, c.Get("x").Size(-1), Sizes(c).Experts);
        double Of(int t, int e) => Enumerable.Range(0, width).Sum(m => x[t * width + m] * weight[e * width + m]);
        return [.. Enumerable.Range(0, c.Get("claim.logits").Values.Length).Select(i => Of(i / experts, i % experts))];
    }

    /// <summary>The numbers of each matrix [a, b], which lie as [b, a], in the places that [a, b] has.</summary>
    /// <param name="stack">1 where there is one matrix.</param>
    static double[] Flat(CaseTensor t, int stack)
    {
        int a = t.Size(-2), b = t.Size(-1), size = stack == 1 ? t.Values.Length : a * b;
        return [.. Enumerable.Range(0, t.Values.Length).Select(i => t.Values[i / size * size + i % b * a + i % size / b])];
    }

    static Case? Softmaxed(Case c, Func<double[], double[]> of) =>
        c.Dialect.Score == Score.Softmax && Sizes(c).Groups == 1 && c.Dialect.Noise == LogitNoise.None && !c.Has("padding")
            ? With(c, "claim.scores", _ => of(c.Get("claim.logits").Values)) : null;

    static double[] OverTokens(double[] logits)
    {
        const int experts = 8;
        var tokens = logits.Length / experts;
        var columns = Enumerable.Range(0, experts).Select(e => Softmax([.. Enumerable.Range(0, tokens).Select(t => logits[t * experts + e])])).ToArray();
        return [.. logits.Select((_, i) => columns[i % experts][i / experts])];
    }

    static bool IsPlain(Case c) => c.Dialect is { Selection: Selection.TopK, Groups: <= 1, CorrectionBias: false, Policy: Policy.All, ForceBalance: false }
        && c.Dialect.Noise == LogitNoise.None && !c.Has("padding") && c.Has("claim.expert") && !c.Dialect.OpenOrder;

    static Case? Chosen(Case c, Func<double[], int, double> key) => !IsPlain(c) ? null : With(c, "claim.expert", _ =>
        [.. c.Get("claim.logits").Values.Chunk(Sizes(c).Experts).SelectMany(row =>
            Enumerable.Range(0, row.Length).OrderByDescending(e => key(row, e)).Take(Sizes(c).K).Select(e => (double)e))]);

    /// <summary>Each token's row is that of the token before it, the first one's that of the last.</summary>
    static double[] Turned(Case c, double[] values, int width) =>
        Sizes(c).Size is var size ? [.. values.Select((_, i) => i / width is var t
            ? values[(t / size * size + (t % size + size - 1) % size) * width + i % width] : 0)] : values;

    static Case? OfExperts(Case c, Func<int, int, int> from)
    {
        CaseTensor Placed(CaseTensor t)
        {
            int n = t.Size(0), size = t.Values.Length / n;
            return t with { Values = [.. t.Values.Select((_, i) => t.Values[from(i / size, n) * size + i % size])] };
        }
        string[] stacks = ["experts.wi", "experts.wi_gate", "experts.wo", "experts.bi", "experts.bo"];
        return Output(c, c.With(stacks.Select(c.Find).OfType<CaseTensor>().Select(Placed)));
    }

    static Case? OfGates(Case c, Func<double[], double[]> change) =>
        c.Find("claim.gate") is { } gate ? Output(c, c.With(gate with { Values = change(gate.Values) })) : null;
}
