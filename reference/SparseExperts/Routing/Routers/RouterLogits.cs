using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing.Quirks;

namespace SparseExperts.Routing;

/// <summary>From tokens to logits: what disturbs the router's input, the router itself, and what happens to padding and to knocked-out experts.</summary>
public static class RouterLogits
{
    const float Lowered = -1e9f;
    const double UnitGuard = 1e-6, LargestTemperature = 4.605170185988092;      // ln 100

    /// <summary>Tokens as the router sees them [T, M]: in its own format where it has one.</summary>
    public static Tensor Input(Tape tape, RouterCall call, Tensor x)
    {
        var d = call.Dialect;
        x = InRouterFormat(tape, call, x);
        if (call.Jitters) return tape.Round(tape.Multiply(x, tape.PlanConstant(x.Rows, x.Columns, Drawn(call, call.Draws.Jitter, "jitter", x.Value.Count))), d.RouterDtype ?? call.Format);
        if (d.RouterPolicy != RouterPolicy.InputDropout || !call.Is(d.RouterPolicyPhase) || d.JitterAlone) return x;
        var kept = Drawn(call, call.Draws.InputDropout, "input_dropout", x.Value.Count).Select(u => u < 1 - d.InputDropout ? (float)(1 / (1 - d.InputDropout)) : 0).ToArray();
        return tape.Multiply(x, tape.PlanConstant(x.Rows, x.Columns, kept));
    }

    /// <summary>Clean logits [T, E].</summary>
    public static Tensor Compute(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var logits = call.Dialect.Router switch
        {
            RouterForm.Linear => Linear(tape, call, input, weights),
            RouterForm.Cosine => Cosine(tape, call, input, weights),
            RouterForm.LinearPerTask => PerTask(tape, call, input, weights),
            RouterForm.LinearWithEmbedding => tape.Add(Linear(tape, call, input, weights), tape.LookUp(Needed(call, weights.Table, "router.table"), tape.UploadPlan(call.TokenIds), input.Sequence)),
            RouterForm.TaskEmbedding => tape.LookUp(Needed(call, weights.Table, "router.table"), tape.UploadPlan(Tasks(call)), input.Sequence),
            RouterForm.None => Zero(tape, call),
            var other => throw new RoutingException($"{call.Where}: a router of the form {other} has a layer of its own"),
        };
        logits = tape.Round(logits, call.Dialect.LogitsDtype ?? call.Dialect.RouterDtype ?? call.Format);
        return SecondPlace.KnockOut(tape, call, Padding(tape, call, logits));
    }

    static Tensor Linear(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var logits = tape.Linear(input, InRouterFormat(tape, call, Needed(call, weights.Weight, "router.weight")));
        return weights.Bias is { } bias ? tape.Add(logits, tape.RepeatRow(InRouterFormat(tape, call, bias), logits)) : logits;
    }

    /// <summary>Tokens and weights are cast to the router's format before they meet.</summary>
    static Tensor InRouterFormat(Tape tape, RouterCall call, Tensor x) => call.Dialect.RouterDtype is { } format ? tape.Round(x, format) : x;

    /// <summary>cos(x·P, column of S)·e^{min(τ, ln 100)} (Tutel gates/cosine_top.py).</summary>
    static Tensor Cosine(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var projected = UnitRows(tape, tape.Linear(input, Needed(call, weights.Projection, "router.projection")));                        // [T, P]
        var experts = UnitRows(tape, tape.Transpose(weights.Embeddings!));                               // [E, P]
        var temperature = tape.Activate(Activation.Exp, tape.Clamp(weights.Temperature!, double.NegativeInfinity, LargestTemperature));
        var cosines = tape.Linear(projected, experts, transpose: true);                                  // [T, E]
        return tape.Multiply(cosines, tape.RepeatRow(tape.RepeatColumn(temperature, cosines.Columns), cosines));
    }

    /// <summary>x / √(Σ x² + 10⁻⁶), per row.</summary>
    internal static Tensor UnitRows(Tape tape, Tensor x)
    {
        var norm = tape.Activate(Activation.Sqrt, tape.Shift(tape.SumRows(tape.Multiply(x, x)), UnitGuard));
        return tape.Divide(x, tape.RepeatColumn(norm, x.Columns));
    }

    /// <summary>Each token takes the E columns of its task out of all tasks' logits.</summary>
    static Tensor PerTask(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var all = tape.Linear(input, InRouterFormat(tape, call, Needed(call, weights.Weight, "router.weight")));
        var tasks = Tasks(call);
        var ids = new int[call.Tokens * call.Experts];
        for (var i = 0; i < ids.Length; i++) ids[i] = i / call.Experts * all.Columns + tasks[i / call.Experts] % (all.Columns / call.Experts) * call.Experts + i % call.Experts;
        return tape.GatherElements(all, ids, call.Tokens, call.Experts);
    }

    static int[] Tasks(RouterCall call)
    {
        Given.RequireTasks(call);
        return call.TaskIds;
    }

    static Tensor Zero(Tape tape, RouterCall call)
    {
        var zero = tape.Rent(call.Tokens, call.Experts);
        tape.Backend.Fill(zero, 0);
        return tape.Constant(zero);
    }

    static Tensor Padding(Tape tape, RouterCall call, Tensor logits)
    {
        if (call.Dialect.PaddingLogits != PaddingLogits.Lowered || call.Importance.Length == 0) return logits;
        var values = new float[call.Tokens * call.Experts];
        for (var i = 0; i < values.Length; i++) values[i] = call.IsReal(i / call.Experts) ? 0 : Lowered;
        return tape.Shift(logits, values);
    }

    /// <summary>Logits with the rows of padding at 0, as the z-loss of a dialect that zeroes them sees them.</summary>
    internal static Tensor WithoutPadding(Tape tape, RouterCall call, Tensor logits)
    {
        var values = new float[call.Tokens * call.Experts];
        for (var i = 0; i < values.Length; i++) values[i] = call.IsReal(i / call.Experts) ? 1 : 0;
        return tape.Multiply(logits, tape.PlanConstant(logits.Rows, logits.Columns, values));
    }

    internal static Tensor Needed(RouterCall call, Tensor? weight, string name) =>
        weight ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs {name}; give it or choose another router");

    internal static float[] Drawn(RouterCall call, float[]? draws, string name, long count) =>
        draws is null ? throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs draws.{name} here; give them or switch the randomness off")
        : draws.Length == count ? draws
        : throw new RoutingException($"{call.Where}: draws.{name} has {draws.Length} numbers, {count} are needed; give one for every element");
}
