using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>
/// The balance loss of nearly everybody: (1/G) Σ_g scale·Σ_e f_ge·P_ge, f the share of the group's tokens that ask for expert e (a constant),
/// P the mean score of e (the gradient's only path). Which tokens count, which choices, over which denominator and with which scale is what
/// implementations disagree on (Fedus et al. 2022, eq. 4; Lepikhin et al. 2020, algorithm 1).
/// </summary>
public static class ProductLoss
{
    const double ShareGuard = 1e-6;

    /// <remarks>dmass_te = dloss·scale_g·f_ge·w_t/G, w_t the token's weight in P.</remarks>
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        int groups = call.Groups, size = call.Size, experts = call.Experts;
        var mass = tape.Round(Mass(tape, call, inputs), call.LogitsFormat);
        if (!d.SecondPlaceLoss && Asked(tape, call, inputs) is { } asked) return Sum(tape, call, mass, asked);
        var counts = Counts(call, inputs);
        if (call.SpansShards) counts = tape.Total(counts);
        var loss = Sum(tape, call, mass, counts, 1);
        if (!d.SecondPlaceLoss) return loss;

        // Half of the same for second choices, on what the first ones leave over: rest / (Σ rest + 10⁻⁹).
        var second = new double[groups * experts];
        var rest = new float[call.Tokens * experts];
        Array.Fill(rest, 1);
        for (var t = 0; t < call.Tokens; t++)
        {
            if (call.IsReal(t)) rest[t * experts + inputs.Choices.Candidate[t * inputs.Choices.K]] = 0;
            if (inputs.Choices.K > 1 && call.IsReal(t)) second[t / size * experts + inputs.Choices.Candidate[t * inputs.Choices.K + 1]]++;
        }
        var left = tape.Multiply(mass, tape.PlanConstant(call.Tokens, experts, rest));
        var divided = tape.Divide(left, tape.RepeatColumn(tape.Shift(tape.SumRows(left), 1e-9), experts));
        return tape.Add(loss, tape.Scale(Sum(tape, call with { Dialect = d with { BalanceTokens = BalanceTokens.All } }, divided, second, 1), 0.5));
    }

    /// <summary>Two pooled layers or one: Σ over groups of scale/G·Σ_e f·P.</summary>
    static Tensor Sum(Tape tape, RouterCall call, Tensor mass, double[] counts, double factor)
    {
        var d = call.Dialect;
        int groups = call.Groups, experts = call.Experts;
        int size = call.SpansShards ? tape.Total(call.Size) : call.Size, all = call.SpansShards ? 1 : tape.Total(groups);
        double[] parts = new double[groups], f = new double[groups * experts];
        for (var g = 0; g < groups; g++)
        {
            double real = call.SpansShards ? tape.Total(call.RealIn(g)) : call.RealIn(g), share = real / size;
            var denominator = d.BalanceCount == BalanceCount.KeptShare ? Math.Max(1, counts.AsSpan(g * experts, experts).ToArray().Sum()) : Denominator(d, size, real);
            var scale = Scale(call, factor, share);
            for (var e = 0; e < experts; e++) f[g * experts + e] = counts[g * experts + e] / denominator * scale / all;
            parts[g] = 1 / MassDenominator(call, denominator, size);
        }
        return OfMeans(tape, call, mass, parts, tape.Numbers(groups, experts, f));
    }

    static double Scale(RouterCall call, double factor, double realShare) => factor / call.Dialect.Microbatches * call.Dialect.BalanceScale switch
    {
        BalanceScale.Experts => call.Experts,
        BalanceScale.ExpertsOverChoices => (double)call.Experts / call.Dialect.K,
        BalanceScale.OneOverExperts => 1.0 / call.Experts,
        var other => throw new RoutingException($"{call.Where}: unknown balance scale {other}"),
    } * (call.Dialect.BalanceTokens == BalanceTokens.ScaledByRealShare ? realShare : 1);

    /// <summary>f's numerators [G·E] where the backend counted them: no token is padding then, and what is made of a count is looked up.</summary>
    static Indices? Asked(Tape tape, RouterCall call, LossInputs inputs) => call.Dialect.BalanceCount switch
    {
        BalanceCount.FreshTopK when inputs.FreshTopK is null => BackendPlanning.FreshTopK(tape, call, CleanNumbers(call) ? inputs.Logits : inputs.Scores),
        BalanceCount.FirstChoice when inputs.Handle.OnBackend is { } made => BackendPlanning.FirstOf(made.Asked),
        BalanceCount.AllChoices or BalanceCount.Candidates when inputs.Handle.OnBackend is { } made => BackendPlanning.AllOf(made.Asked),
        _ => null,
    };

    /// <summary>The same sum with f from the backend's counts: the host knows the number that every count gives.</summary>
    static Tensor Sum(Tape tape, RouterCall call, Tensor mass, Indices asked)
    {
        var d = call.Dialect;
        int groups = call.Groups, size = call.Size;
        double denominator = Denominator(d, size, size), scale = Scale(call, 1, 1), unit = d.BalanceCount == BalanceCount.Candidates ? 1.0 / d.K : 1;
        var shares = tape.Constants.Column((nameof(ProductLoss), size, denominator, scale, groups, unit), () =>
        {
            var table = new double[size + 1];
            for (var (n, count) = (0, 0.0); n <= size; n++, count += unit) table[n] = count / denominator * scale / groups;
            return table;
        });
        var f = tape.Rent(groups, call.Experts);
        tape.Backend.GatherRows(shares, asked, f.Reshape(groups * call.Experts, 1), false);
        double[] parts = [.. Enumerable.Repeat(1 / MassDenominator(call, denominator, size), groups)];
        return OfMeans(tape, call, mass, parts, tape.Constant(f));
    }

    /// <summary>Σ_ge f_ge·P_ge.</summary>
    /// <param name="parts">What the sum over a group's tokens is multiplied by [G].</param>
    /// <param name="f">[G, E], with its scale.</param>
    static Tensor OfMeans(Tape tape, RouterCall call, Tensor mass, double[] parts, Tensor f)
    {
        var means = tape.ScaleRows(tape.SumGroups(OfCounted(tape, call, mass), call.Groups, call.SpansShards), tape.Column(parts));      // P [G, E]
        return tape.Round(tape.WeightedSum(tape.Round(means, call.LogitsFormat), f), call.LogitsFormat);
    }

    /// <summary>P's numbers with those of tokens that do not count set to 0.</summary>
    static Tensor OfCounted(Tape tape, RouterCall call, Tensor mass)
    {
        var leavesOut = call.Dialect.BalanceTokens is BalanceTokens.RealOverAll or BalanceTokens.RealOverReal or BalanceTokens.RealOverRealShare or BalanceTokens.RealMassOverAll;
        if (!leavesOut || call.Importance.Length == 0) return mass;
        return tape.ScaleRows(mass, tape.Column([.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? 1.0 : 0)]));
    }

    static double Denominator(Dialect d, int size, double real) => d.BalanceTokens switch
    {
        BalanceTokens.RealOverReal => Math.Max(1, real),
        BalanceTokens.RealOverRealShare when d.LossDenominator == LossDenominator.RealTokens => size * (real / size + ShareGuard),
        BalanceTokens.All or BalanceTokens.ScaledByRealShare or BalanceTokens.RealOverAll or BalanceTokens.RealCountsOverAll or BalanceTokens.RealMassOverAll
            or BalanceTokens.RealOverRealShare => size,
        var other => throw new RoutingException($"{d.Name}: unknown balance tokens {other}"),
    };

    static double MassDenominator(RouterCall call, double denominator, int size) =>
        call.Dialect.BalanceTokens is BalanceTokens.RealOverReal or BalanceTokens.RealOverRealShare || call.Dialect.BalanceCount == BalanceCount.KeptShare ? denominator : size;

    /// <summary>What P is proportional to [G, E]: the sum over the tokens that count. With f open, the loss is largest where ties go to the largest of these.</summary>
    internal static double[] MassOfExperts(Tape tape, RouterCall call, LossInputs inputs)
    {
        var mass = new double[call.Tokens * call.Experts];
        tape.ReadForPlan(Mass(tape, call, inputs).Value, mass);
        var sums = new double[call.Groups * call.Experts];
        for (var i = 0; i < mass.Length; i++)
            if (Counts(call, i / call.Experts)) sums[i / call.Experts / call.Size * call.Experts + i % call.Experts] += mass[i];
        return sums;
    }

    /// <summary>P's numbers.</summary>
    static Tensor Mass(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        return d.BalanceMass switch
        {
            BalanceMass.Scores => inputs.Scores,
            BalanceMass.SoftmaxOfLogits => AreSoftmaxOfLogits(call, inputs) ? inputs.Scores : tape.Softmax(inputs.Logits),
            BalanceMass.DoubleSoftmax => tape.Softmax(tape.Softmax(inputs.Logits)),
            BalanceMass.Gates => Gates.Dense(tape, inputs.Gates, inputs.Plan.Expert, call.Experts),
            BalanceMass.Distribution => Distribution(tape, call, inputs),
            var other => throw new RoutingException($"{call.Where}: unknown balance mass {other}"),
        };
    }

    /// <summary>Whether the scores, which may be claimed, are this softmax itself: not of noisy logits, and not rounded to a narrower format.</summary>
    static bool AreSoftmaxOfLogits(RouterCall call, LossInputs inputs) => call.Dialect.Score == Score.Softmax && ReferenceEquals(inputs.Noisy, inputs.Logits)
        && (call.Dialect.ScoreDtype ?? call.ScoreFormat) is NumberFormat.Float32 or NumberFormat.Float64;

    /// <summary>Softmax of the logits, or sigmoids divided by their sum over all experts + 10⁻²⁰.</summary>
    static Tensor Distribution(Tape tape, RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        if (d.Score is Score.Softmax or Score.SoftmaxPost) return AreSoftmaxOfLogits(call, inputs) ? inputs.Scores : tape.Softmax(inputs.Logits);
        var sums = tape.Shift(tape.SumRows(inputs.Scores), 1e-20);
        return tape.Divide(inputs.Scores, tape.RepeatColumn(sums, inputs.Scores.Columns));
    }

    /// <summary>f's numerators [G, E].</summary>
    static double[] Counts(RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        int experts = call.Experts, size = call.Size;
        var choices = inputs.Choices;
        var plan = inputs.Plan;
        var counts = new double[call.Groups * experts];
        if (d.BalanceCount == BalanceCount.FreshTopK)
        {
            foreach (var (token, expert) in inputs.FreshTopK ?? FreshTopK(call, inputs)) counts[token / size * experts + expert]++;
            return counts;
        }
        if (d.BalanceCount is BalanceCount.KeptFirst or BalanceCount.KeptShare or BalanceCount.DroppedAsFirstExpert)
        {
            for (var t = 0; t < call.Tokens; t++)
                for (var j = 0; j < (d.BalanceCount == BalanceCount.KeptShare ? plan.Choices : 1); j++)
                {
                    var i = t * plan.Choices + j;
                    if (plan.RowOf[i] >= 0) counts[t / size * experts + plan.Expert[i]]++;
                    else if (d.BalanceCount == BalanceCount.DroppedAsFirstExpert) counts[t / size * experts]++;
                }
            return counts;
        }
        var all = d.BalanceCount is BalanceCount.AllChoices or BalanceCount.Candidates;
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!Counts(call, t)) continue;
            for (var j = 0; j < (all ? choices.K : 1); j++)
            {
                var e = d.BalanceCount == BalanceCount.AllChoices && !(choices.Expert[t * choices.K + j] >= 0) ? -1 : choices.Candidate[t * choices.K + j];
                if (e >= 0) counts[t / size * experts + e] += d.BalanceCount == BalanceCount.Candidates ? 1.0 / choices.K : 1;
            }
        }
        return counts;
    }

    /// <summary>Whether a token counts in f.</summary>
    internal static bool Counts(RouterCall call, int t) => call.IsReal(t) || call.Dialect.BalanceTokens is BalanceTokens.All or BalanceTokens.ScaledByRealShare or BalanceTokens.RealMassOverAll;

    /// <summary>Whether a top-k of the loss's own is over logits, else over scores.</summary>
    static bool CleanNumbers(RouterCall call) =>
        call.Dialect.BalanceMass != BalanceMass.Distribution || call.Dialect.Score is Score.Softmax or Score.SoftmaxPost;

    /// <summary>A top-k of its own, over clean numbers.</summary>
    static IEnumerable<(int Token, int Expert)> FreshTopK(RouterCall call, LossInputs inputs)
    {
        var d = call.Dialect;
        var numbers = CleanNumbers(call) ? inputs.Numbers.Logits : inputs.Numbers.Scores;
        var ranking = Ranking.Of(numbers, call.Experts);
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!Counts(call, t)) continue;
            foreach (var e in Ranking.Top(ranking.Row(t), d.K, d.Ties)) yield return (t, e);
        }
    }
}
