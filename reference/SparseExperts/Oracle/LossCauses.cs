using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From a loss that departs to what it is instead: a sum for a mean, a root, another set of tokens, a coefficient that is there or not.</summary>
static class LossCauses
{
    public static FoundCauses Find(Case held, string stage, Departure of, Func<IBackend> backend)
    {
        var name = stage["loss.".Length..];
        var functions = FoundCauses.Among(of, Functions(held, name, of));
        return functions.And(Stage.On(held, backend, call =>
        {
            var inputs = call.Routed.Losses with { Gates = call.Routed.Effective.Gates };
            LossTerm[] terms = [.. AuxiliaryLosses.Of(call.Tape, call.Call, inputs)];
            if (name == "total")
            {
                var totals = FoundCauses.Among(of, Totals(call, terms));
                return totals.Causes.Count > 0 ? totals : totals.And(FoundCauses.Among(of, Coefficients(call, terms, of)));
            }
            if (terms.FirstOrDefault(t => t.Name == name) is not { } own) return FoundCauses.None;
            var found = FoundCauses.Among(of, [.. Factors(call, own, of), .. name == "z" ? OfZ(call, areTwo: false) : []]);
            return found.Causes.Count > 0 || name != "z" ? found : FoundCauses.Among(of, OfZ(call, areTwo: true));
        }));
    }

    static FaultyNumbers New(ClaimedCall c, string what, string value, string sentence, Func<Tensor> compute, string? axis = null) =>
        new(new(what, value, sentence) { Axis = axis }, () => Stage.Numbers(c, compute()));

    /// <summary>Factors that only losses have.</summary>
    static IEnumerable<FaultyNumbers> Factors(ClaimedCall c, LossTerm own, Departure of)
    {
        var (call, tokens, real) = (c.Call, (double)c.Call.Tokens, (double)Enumerable.Range(0, c.Call.Tokens).Count(c.Call.IsReal));
        (double Factor, string Words)[] factors =
        [
            (own.Coefficient, "it is multiplied by its coefficient, which belongs to loss.total"),
            (own.Coefficient * own.Coefficient, "it is multiplied by its coefficient twice"),
            (1 / own.Coefficient, "it is divided by its coefficient"),
            (tokens, "it is a sum over tokens where a mean is meant"),
            (1 / tokens, "it is divided by the number of tokens once more"),
            (tokens * tokens, "both shares are counts: nothing is divided by the number of tokens"),
            (call.Groups, "it is a sum over groups where a mean is meant"),
            (1.0 / call.Groups, "it is divided by the number of groups once more"),
            (call.Size, "it is a sum over the tokens of a group where a mean is meant"),
            (1.0 / call.Size, "it is divided by the tokens of a group once more"),
            (real / tokens, "sums over real tokens are divided by all tokens"),
            (tokens / real, "sums are divided by the real tokens alone"),
            (call.Experts * call.Experts, "it is multiplied by the square of the number of experts"),
            (1.0 / call.Experts / call.Experts, "it is a mean over experts of what should be added up and multiplied by their number"),
            ((double)call.Experts / call.Dialect.K, "it is multiplied by the number of experts over that of choices"),
            ((double)call.Dialect.K / call.Experts, "it is multiplied by the number of choices over that of experts"),
        ];
        foreach (var (factor, words) in factors)
            if (factor != 1 && double.IsFinite(factor) && factor != 0)
                yield return new(new($"loss.{own.Name}", $"times {Multiples.Text(factor)}",
                    $"the loss {own.Name} is {Multiples.Text(factor)} times what it should be: {words}"),
                    () => ([factor * of.Expected[0]], [Math.Abs(factor) * of.Bounds[0]]));
    }

    /// <summary>Functions of the right loss, which are monotone: what the loss may be off by is carried through them.</summary>
    static IEnumerable<FaultyNumbers> Functions(Case c, string name, Departure right)
    {
        if (right.Expected.Length != 1 || name == "total") yield break;
        var (value, bound) = (right.Expected[0], right.Bounds[0]);
        FaultyNumbers Of(string fault, string sentence, Func<double, double> function, string? axis = null) =>
            new(new($"loss.{name}", fault, sentence) { Axis = axis }, () =>
            {
                double at = function(value), apart = Math.Max(Math.Abs(function(value + bound) - at), Math.Abs(function(Math.Max(0, value - bound)) - at));
                return ([at], [apart + 2 * Rounding.HalfUnit(NumberFormat.Float32, Math.Abs(at))]);
            });
        var isVariation = name is "importance" or "load" or "load_importance";
        var root = isVariation ? $"the loss {name} is a deviation over the mean and not its square" : $"the loss {name} is the root of what it should be";
        if (value >= 0) yield return Of("root", root, v => Math.Sqrt(Math.Max(0, v)));
        yield return Of("square", $"the loss {name} is the square of what it should be", v => v * v);
        yield return Of("minus one", $"the loss {name} has 1 taken off", v => v - 1);
        double n = c.Find("claim.logits")?.Size(-1) ?? c.Find("router.weight")?.Size(0) ?? 0;
        if (!isVariation || n < 2) yield break;
        var sample = $"the loss {name} has the variance of a sample, over n − 1, where it is over n";
        var population = $"the loss {name} has the variance of a population, over n, where it is over n − 1";
        yield return Of("variance over n − 1", sample, v => v * n / (n - 1), "variance");
        yield return Of("variance over n", population, v => v * (n - 1) / n, "variance");
    }

    /// <summary>The z-loss of other numbers, or over other tokens.</summary>
    /// <param name="areTwo">Both at once.</param>
    static IEnumerable<FaultyNumbers> OfZ(ClaimedCall c, bool areTwo)
    {
        var (tape, call, d) = (c.Tape, c.Call, c.Call.Dialect);
        if (call.LogitsFormat != NumberFormat.Float32) yield break;
        var isZeroed = d.PaddingLogits == PaddingLogits.Zeroed && call.TokenMask.Length > 0;
        var logits = isZeroed ? RouterLogits.WithoutPadding(tape, call, c.Logits) : c.Logits;
        double[] all = [.. Enumerable.Repeat(1.0, call.Tokens)], real = [.. Enumerable.Range(0, call.Tokens).Select(t => call.IsReal(t) ? 1.0 : 0)];
        Tensor Square(Tensor x) => tape.Multiply(x, x);
        Tensor Largest(Tensor x)
        {
            var rows = c.Read(x).Values.Chunk(call.Experts).ToArray();
            return tape.GatherColumns(x, tape.UploadPlan([.. rows.Select(row => Array.IndexOf(row, row.Max()))]));
        }
        Tensor Weighted(Tensor column, double[] tokens, double divisor) =>
            tape.WeightedSum(column, Array.ConvertAll(tokens, w => w / divisor / d.Microbatches));
        var ownTokens = d.ZLoss == ZLoss.RealTokens ? real : all;
        (string Value, string Words, Func<Tensor> Of)[] columns =
        [
            ("", "", () => Square(tape.LogSumExp(logits))),
            ("not squared", "the z-loss is not squared: it is the mean of the log-sum-exp", () => tape.LogSumExp(logits)),
            ("of the largest logit", "the z-loss squares the largest logit and not the log-sum-exp", () => Square(Largest(logits))),
            ("of the scores", "the z-loss is that of the scores and not of the logits", () => Square(tape.LogSumExp(c.Scores))),
            ("of squared logits", "the z-loss squares the logits and adds them up, with no log-sum-exp", () => tape.SumRows(Square(logits))),
            ("of the mean of squared logits", "the z-loss is the mean of the squared logits",
                () => tape.Scale(tape.SumRows(Square(logits)), 1.0 / call.Experts)),
            ("of noisy logits", "the z-loss is that of the noisy logits", () => Square(tape.LogSumExp(c.Routed.Scored.Noisy))),
            ("of padding's logits too", "padding's logits are not set to 0 in the z-loss", () => Square(tape.LogSumExp(c.Logits))),
        ];
        (string Value, string Words, double[] Tokens, double Divisor)[] means =
        [
            ("", "", ownTokens, Math.Max(1, ownTokens.Sum())),
            ("over all tokens", "padding counts in the z-loss", all, call.Tokens),
            ("over real tokens", "padding is left out of the z-loss", real, Math.Max(1, real.Sum())),
            ("of real tokens over all", "padding is left out of the z-loss's sum, but not of its divisor", real, call.Tokens),
            ("of all tokens over the real", "padding is left out of the z-loss's divisor, but not of its sum", all, Math.Max(1, real.Sum())),
            ("summed", "the z-loss is a sum over tokens where a mean is meant", ownTokens, 1),
            ("over tokens and experts", "the z-loss is divided by the number of experts too", ownTokens, Math.Max(1, ownTokens.Sum()) * call.Experts),
        ];
        foreach (var column in columns)
            foreach (var mean in means)
            {
                if ((column.Value.Length > 0 ? 1 : 0) + (mean.Value.Length > 0 ? 1 : 0) != (areTwo ? 2 : 1)) continue;
                var value = string.Join(", ", new[] { column.Value, mean.Value }.Where(v => v.Length > 0));
                var words = string.Join("; and ", new[] { column.Words, mean.Words }.Where(v => v.Length > 0));
                var axis = column.Value.Length == 0 && mean.Value is "over all tokens" or "over real tokens" ? "z_loss" : null;
                yield return New(c, "loss.z", value, words, () => Weighted(column.Of(), mean.Tokens, mean.Divisor), axis);
            }
        yield return New(c, "loss.z", "square of the mean", "the z-loss is the square of the mean log-sum-exp, not the mean of the squares",
            () => Square(Weighted(tape.LogSumExp(logits), ownTokens, Math.Max(1, ownTokens.Sum()))));
    }

    /// <summary>Another coefficient of one loss, where it is a number that somebody writes: one or two digits.</summary>
    static IEnumerable<FaultyNumbers> Coefficients(ClaimedCall c, LossTerm[] terms, Departure of)
    {
        foreach (var term in terms)
        {
            if (Stage.Numbers(c, term.Value).Values is not [var value] || value == 0) continue;
            var implied = term.Coefficient + (of.Claimed[0] - of.Expected[0]) / value;
            var written = double.Parse(implied.ToString("E1", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
            if (written == 0 || written == term.Coefficient || !double.IsFinite(written)) continue;
            var (own, axis) = (term.Name, term.Name == "balance" ? "balance_coefficient" : term.Name == "z" ? "z_coefficient" : null);
            var sentence = FormattableString.Invariant($"the loss {own} is in the total with the coefficient {written} in place of {term.Coefficient}");
            yield return New(c, "loss.total", FormattableString.Invariant($"{own} times {written}"), sentence,
                () => AuxiliaryLosses.Total(c.Tape, c.Call, terms.Select(t => t.Name == own ? t with { Coefficient = written } : t)) ?? c.Tape.Scalar(0), axis);
        }
    }

    /// <summary>Sums of the losses with one of them missing or weighted otherwise.</summary>
    static IEnumerable<FaultyNumbers> Totals(ClaimedCall c, LossTerm[] terms)
    {
        if (terms.Length == 0) yield break;
        FaultyNumbers Of(string value, string sentence, Func<LossTerm, double> coefficient) => New(c, "loss.total", value, sentence,
            () => AuxiliaryLosses.Total(c.Tape, c.Call, terms.Select(t => t with { Coefficient = coefficient(t) })) ?? c.Tape.Scalar(0));
        foreach (var term in terms.Where(t => t.Coefficient != 0))
        {
            var own = term.Name;
            FaultyNumbers One(string value, string sentence, double coefficient) => Of(value, sentence, t => t.Name == own ? coefficient : t.Coefficient);
            yield return One($"without {own}", $"the loss {own} is not in the total", 0);
            yield return One($"{own} without its coefficient", $"the loss {own} is in the total without its coefficient", 1);
            yield return One($"{own} times its coefficient twice", $"the loss {own} has its coefficient twice in the total",
                term.Coefficient * term.Coefficient);
            foreach (var factor in (double[])[2, -1, 0.5, c.Call.Groups, 1.0 / c.Call.Groups])
                if (factor != 1)
                    yield return One($"{own} times {Multiples.Text(factor)}", $"the loss {own} counts {Multiples.Text(factor)} times in the total",
                        factor * term.Coefficient);
        }
        yield return Of("without coefficients", "the losses are added without their coefficients", _ => 1);
    }
}
