using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>From scores that depart to the function of the logits that they are instead.</summary>
static class ScoreCauses
{
    public static FoundCauses Find(Case held, Departure of, Func<IBackend> backend) =>
        Stage.On(held.Without("claim.scores"), backend, call => FoundCauses.Among(of, Of(call)));

    /// <summary>Functions of logits that are no value of the axis.</summary>
    static IEnumerable<FaultyNumbers> Of(ClaimedCall c)
    {
        var (tape, call, logits, own) = (c.Tape, c.Call, c.Routed.Scored.Noisy, c.Scores);
        FaultyNumbers New(string value, string sentence, Func<Tensor> compute) => new(new("scores", value, sentence), () => Stage.Numbers(c, compute()));
        Tensor OverSum(Tensor x) => tape.Divide(x, tape.RepeatColumn(tape.SumRows(x), x.Columns));
        Tensor Of(Tensor x) => RouterScores.Compute(tape, call, x);
        yield return New("softmax twice", "the softmax was taken twice", () => tape.Softmax(tape.Softmax(logits)));
        yield return New("log_softmax", "the scores are log-probabilities", () => tape.LogSoftmax(logits));
        yield return New("over their sum", "the scores were divided by their sum over all experts", () => OverSum(own));
        yield return New("sigmoids over their sum", "the scores are sigmoids over their sum over all experts",
            () => OverSum(tape.Activate(Activation.Sigmoid, logits)));
        yield return New("softplus", "the scores are softplus without the root", () => tape.Activate(Activation.Softplus, logits));
        yield return New("root", "the scores are the roots of what they should be", () => tape.Activate(Activation.Sqrt, own));
        yield return New("squares", "the scores are the squares of what they should be", () => tape.Multiply(own, own));
        yield return New("exp", "the scores are exponentials that nothing was divided by", () => tape.Activate(Activation.Exp, logits));
        yield return New("tanh", "the scores are the tanh of the logits", () => tape.Activate(Activation.Tanh, logits));
        yield return New("twice", "the function of the scores was applied twice", () => Of(own));
        yield return New("of the negative logits", "the scores are made from the logits with their sign turned", () => Of(tape.Scale(logits, -1)));
        foreach (var factor in (double[])[2, 0.5, 1 / Math.Sqrt(c.Case.Find("x")?.Size(-1) ?? 4), 1 / Math.Sqrt(call.Experts)])
            yield return New($"of logits times {Multiples.Text(factor)}", $"the scores are made from {Multiples.Text(factor)} times the logits",
                () => Of(tape.Scale(logits, factor)));
        yield return New("to the base 2", "the scores take powers of 2 instead of e", () => Of(tape.Scale(logits, ReproducibleMath.Log(2))));
        if (call.Dialect.Score == Score.Softmax)
            yield return New("over tokens", "the softmax was taken over the tokens of a group and not over the experts",
                () => RouterScores.SoftmaxOverTokens(tape, call, logits));
        foreach (var format in StoredFormat.Narrow)
            yield return New($"of logits in {format.Name()}", $"the logits were rounded to {format.Word()} before the scores",
                () => Of(tape.Constant(tape.Written(logits.Rows, logits.Columns, [.. c.Read(logits).Values.Select(v => Rounding.To(format, v))]))));
        if (c.Choices is { ByExperts: false, K: var k } choices)
            yield return New("of the chosen", "the softmax was taken over the chosen experts alone, and all others have 0",
                () => Gates.Dense(tape, tape.Softmax(Gates.Gather(tape, call, logits, choices.Candidate, k)), choices.Candidate, call.Experts));
        if (call.IsNoisy) yield return New("without noise", "the scores are made from the logits without their noise", () => Of(c.Logits));
        var bias = c.Decided.Numbers.CorrectionBias;
        if (bias.Length > 0)
        {
            float[] all = [.. Enumerable.Range(0, call.Tokens * call.Experts).Select(i => (float)bias[i % bias.Length])];
            yield return New("with the correction bias", "the scores hold the correction bias, which is for selection alone", () => tape.Shift(own, all));
            yield return New("of biased logits", "the correction bias was added to the logits, before the scores", () => Of(tape.Shift(logits, all)));
        }
        for (var groups = 2; groups <= 16; groups *= 2)
        {
            if (call.Experts % groups != 0 || call.Experts == groups) continue;
            var (parts, each) = (groups, call.Experts / groups);
            yield return New($"softmax in {parts} groups", $"the softmax was taken in each of {parts} groups of experts by itself",
                () => tape.Reshape(tape.Softmax(tape.Reshape(logits, call.Tokens * parts, each)), call.Tokens, call.Experts));
        }
        if (call.Dialect.Score == Score.SqrtSoftplus) yield return new(new("scores", "log(1 + exp)", Log1P), () => OfLogarithm(c));
    }

    const string Log1P = "√softplus was computed as log(1 + eˣ), which is 0 where eˣ vanishes beside 1 (below −16.6): use log1p";

    /// <summary>√ log(1 + eˣ) in float32: 0 where 1 + eˣ rounds to 1.</summary>
    static (double[] Values, double[] Errors)? OfLogarithm(ClaimedCall c)
    {
        const double half = 1.0 / (1 << 24);
        var right = c.Read(c.Scores);
        double[] values = [.. right.Values], errors = [.. right.Errors];
        var logits = c.Read(c.Routed.Scored.Noisy).Values;
        for (var i = 0; i < values.Length; i++)
        {
            // The sum is a multiple of 2⁻²³ off 1; near half of one it may be either neighbour.
            var power = ReproducibleMath.Exp(logits[i]);
            if (power < half * (1 - 1e-6)) (values[i], errors[i]) = (0, 0);
            else if (power < 1) errors[i] += 2 * half / (2 * values[i]);
        }
        return (values, errors);
    }

    /// <summary>Calls with such scores in the place of the right ones, for what is made from them.</summary>
    public static IEnumerable<FaultyCall> Before(Case held, Func<IBackend> backend)
    {
        if (held.Has("claim.scores") || held.Dialect.Score is Score.None or Score.SoftmaxPost || held.Find("x") is not { } x) return [];
        List<FaultyCall> calls = [];
        Stage.On(held, backend, call =>
        {
            long[] shape = [x.Shape[0], x.Shape[1], call.Call.Experts];
            foreach (var fault in Of(call))
                if (fault.Compute() is { } made) calls.Add(new(fault.Cause, held.With(new CaseTensor("claim.scores", "F32", shape, made.Values))));
            return FoundCauses.None;
        });
        return calls;
    }
}
