using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>
/// The balance loss of nearly everybody: the mean, or the sum, over parts p of scale·Σ_e f_pe·P_pe, f the share of the part's tokens that ask for expert e (a
/// constant), P the mean score of e (the gradient's only path). What a part is (<see cref="LossParts"/>), which tokens and choices count
/// (<see cref="LossCounts"/>), the mean of what (<see cref="LossMass"/>), over which denominator and with which scale is what implementations disagree on
/// (Fedus et al. 2022, eq. 4; Lepikhin et al. 2020, algorithm 1).
/// </summary>
public static class ProductLoss
{
    const double ShareGuard = 1e-6;

    /// <param name="level">What the loss is taken over: the dialect's own level, or that of a second loss beside it.</param>
    /// <param name="by">What the loss is multiplied by; 1 where its steps are rounded to a narrow format.</param>
    /// <returns>1×1.</returns>
    /// <remarks>dmass_te = dloss·scale_p·f_pe·w_t/P, w_t the token's weight in P.</remarks>
    public static Tensor Compute(Tape tape, RouterCall call, LossInputs inputs, BalanceLevel level, double by = 1)
    {
        var parts = LossParts.Of(tape, call, level);
        var mass = tape.Round(LossMass.Of(tape, call, inputs), call.LogitsFormat);                                       // [T, E]
        if (OnBackend(tape, call, inputs, parts, level, mass, by) is { } made) return made;
        var loss = Product(tape, call, parts, level, mass, LossCounts.Of(call, inputs, parts), by);
        return call.Dialect.SecondPlaceLoss ? tape.Add(loss, OfSecondPlaces(tape, call, inputs, parts, level, mass, 0.5 * by)) : loss;
    }

    /// <summary>The same for second choices, on what the first ones leave over: rest / (Σ rest + 10⁻⁹).</summary>
    static Tensor OfSecondPlaces(Tape tape, RouterCall call, LossInputs inputs, LossParts parts, BalanceLevel level, Tensor mass, double by)
    {
        var (d, choices, experts) = (call.Dialect, inputs.Choices, call.Experts);
        var second = new double[parts.Count * experts];
        var rest = new float[call.Tokens * experts];
        Array.Fill(rest, 1);
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!call.IsReal(t)) continue;
            rest[t * experts + choices.Candidate[t * choices.K]] = 0;
            if (choices.K > 1) second[parts.Of(t) * experts + choices.Candidate[t * choices.K + 1]]++;
        }
        var left = tape.Multiply(mass, tape.PlanConstant(call.Tokens, experts, rest));
        var divided = tape.Divide(left, tape.RepeatColumn(tape.Shift(tape.SumRows(left), 1e-9), experts));
        return Product(tape, call with { Dialect = d with { BalanceTokens = BalanceTokens.All } }, parts, level, divided, second, by);
    }

    static Tensor Product(Tape tape, RouterCall call, LossParts parts, BalanceLevel level, Tensor mass, double[] own, double by)
    {
        var experts = call.Experts;
        var counts = Counted(tape, call, parts, level, own);
        var each = Factors(tape, call, parts, level, own, counts);
        double[] f = [.. counts.Select((n, i) => Share(n, each[i / experts]))];
        return OfMeans(tape, call, parts, mass, each, tape.Numbers(parts.Count, experts, f), by);
    }

    /// <summary>
    /// The same with f from the backend's counts, where it made them for the parts of this loss: no token is padding then, and what becomes of a count is
    /// looked up, because the host knows the number that every count gives. Null where the host counts.
    /// </summary>
    static Tensor? OnBackend(Tape tape, RouterCall call, LossInputs inputs, LossParts parts, BalanceLevel level, Tensor mass, double by)
    {
        var d = call.Dialect;
        var isOfGroups = parts.Count == call.Groups && parts.Count * parts.Size * call.Layers == call.Tokens && (call.Layers == 1 || parts.Count == 1);
        if (!isOfGroups || d.SecondPlaceLoss || level is BalanceLevel.Global or BalanceLevel.RankShare) return null;
        if (LossCounts.OnBackend(tape, call, inputs) is not { } asked) return null;
        var each = Factors(tape, call, parts, level, [], []);
        var (of, unit, most) = (each[0], d.BalanceCount == BalanceCount.Candidates ? 1.0 / d.K : 1, parts.Size * call.Layers);
        var shares = tape.Constants.Column((nameof(ProductLoss), most, of, unit), () =>
        {
            var table = new double[most + 1];
            for (var (n, count) = (0, 0.0); n <= most; n++, count += unit) table[n] = Share(count, of);
            return table;
        });
        if (call.Layers == 1 && call.LogitsFormat == NumberFormat.Float32) return tape.BalanceLoss(mass, shares, asked, parts.Count, by / of.Mass);
        var f = tape.Rent(parts.Count, call.Experts);
        tape.Backend.GatherRows(shares, asked, f.Reshape(parts.Count * call.Experts, 1), false);
        return OfMeans(tape, call, parts, mass, each, tape.Constant(f), by);
    }

    /// <summary>f with its scale, from a count.</summary>
    static double Share(double count, Factor of) => count / of.Counts * of.Scale / of.Parts;

    /// <summary>Σ_pe f_pe·(by·P_pe).</summary>
    /// <param name="f">[P, E], with its scale.</param>
    static Tensor OfMeans(Tape tape, RouterCall call, LossParts parts, Tensor mass, Factor[] each, Tensor f, double by)
    {
        var sums = tape.SumGroups(LossMass.OfCounted(tape, call, mass), parts.Count, parts.SpansShards);
        var means = tape.ScaleRows(sums, tape.Column([.. each.Select(of => by / of.Mass)]));                               // by·P [P, E]
        return tape.Round(tape.WeightedSum(tape.Round(means, call.LogitsFormat), f), call.LogitsFormat);
    }

    /// <summary>What one more choice of a token's expert adds to the loss [T, E]: the loss is linear in who is counted.</summary>
    internal static double[] PerChoice(Tape tape, RouterCall call, LossInputs inputs, BalanceLevel level)
    {
        var (parts, experts) = (LossParts.Of(tape, call, level), call.Experts);
        double[] own = LossCounts.Of(call, inputs, parts), mass = new double[call.Tokens * experts], sums = new double[own.Length];
        var each = Factors(tape, call, parts, level, own, Counted(tape, call, parts, level, own));
        tape.ReadForPlan(LossMass.OfCounted(tape, call, LossMass.Of(tape, call, inputs)).Value, mass);
        for (var i = 0; i < mass.Length; i++) sums[parts.Of(i / experts) * experts + i % experts] += mass[i];
        double[] gains = [.. sums.Select((sum, i) => each[i / experts] is var of ? of.Scale / of.Counts / of.Mass / of.Parts * sum : 0)];
        return [.. mass.Select((_, i) => gains[parts.Of(i / experts) * experts + i % experts])];
    }

    /// <summary>f's numerators [P, E], those of all shards, of earlier micro-batches and of other ranks with them where the level says so.</summary>
    static double[] Counted(Tape tape, RouterCall call, LossParts parts, BalanceLevel level, double[] own)
    {
        var counts = parts.SpansShards ? tape.Total(own) : own;
        if (level is not (BalanceLevel.Global or BalanceLevel.RankShare) || call.PreviousCount.Length == 0) return counts;
        double batches = level == BalanceLevel.Global ? 1 + call.Dialect.PreviousBatches : 1;
        return [.. counts.Zip(call.PreviousCount, (n, before) => (n + before) / batches)];
    }

    /// <summary>What one part's counts and mass are divided by, its scale, and the number of parts that a mean is taken over.</summary>
    readonly record struct Factor(double Counts, double Mass, double Scale, int Parts);

    static Factor[] Factors(Tape tape, RouterCall call, LossParts parts, BalanceLevel level, double[] own, double[] counts)
    {
        var (d, experts, divisor) = (call.Dialect, call.Experts, parts.Divisor(tape));
        double[] all = parts.Sums(tape, call, _ => 1), real = parts.Sums(tape, call, t => call.IsReal(t) ? 1 : 0);
        var mean = parts.SpansShards ? real[0] : tape.Total([real.Sum()])[0] / tape.Total(parts.Count);
        var ranks = level == BalanceLevel.RankShare ? Ranks(parts.SpansShards ? tape.Total(own) : own, counts) : 1;
        var factors = new Factor[parts.Count];
        for (var p = 0; p < factors.Length; p++)
        {
            var share = real[p] / all[p];
            var denominator = d.BalanceCount == BalanceCount.KeptShare
                ? Math.Max(1, counts.AsSpan(p * experts, experts).ToArray().Sum())
                : Denominator(d, all[p], real[p], parts.AddsUp ? real[p] : mean);
            var scale = 1.0 / d.Microbatches * d.BalanceScale switch
            {
                BalanceScale.Experts => experts,
                BalanceScale.ExpertsOverChoices => (double)experts / d.K,
                BalanceScale.OneOverExperts => 1.0 / experts,
                var other => throw new RoutingException($"{call.Where}: unknown balance scale {other}"),
            } * (d.BalanceTokens == BalanceTokens.ScaledByRealShare ? share : 1);
            factors[p] = new(denominator * ranks, (DividesMassAlike(d) ? denominator : all[p]) * ranks, scale, divisor);
        }
        return factors;
    }

    /// <summary>All ranks' tokens over this one's, which are as all choices to its own.</summary>
    static double Ranks(double[] own, double[] all) => own.Sum() is > 0 and var mine ? all.Sum() / mine : 1;

    /// <param name="all">Tokens of the part.</param>
    /// <param name="real">Those that are not padding.</param>
    /// <param name="mean">Real tokens of the mean part, where parts are averaged.</param>
    static double Denominator(Dialect d, double all, double real, double mean) => d.BalanceTokens switch
    {
        BalanceTokens.RealOverReal => Math.Max(1, real),
        BalanceTokens.RealOverMean => Math.Max(1, mean),
        BalanceTokens.RealOverRealShare when d.LossDenominator == LossDenominator.RealTokens => all * (real / all + ShareGuard),
        BalanceTokens.All or BalanceTokens.ScaledByRealShare or BalanceTokens.RealOverAll or BalanceTokens.RealCountsOverAll or BalanceTokens.RealMassOverAll
            or BalanceTokens.RealOverRealShare => all,
        var other => throw new RoutingException($"{d.Name}: unknown balance tokens {other}"),
    };

    /// <summary>Whether P has f's denominator; else it is a mean over all tokens.</summary>
    static bool DividesMassAlike(Dialect d) =>
        d.BalanceTokens is BalanceTokens.RealOverReal or BalanceTokens.RealOverMean or BalanceTokens.RealOverRealShare
        || d.BalanceCount == BalanceCount.KeptShare;
}
