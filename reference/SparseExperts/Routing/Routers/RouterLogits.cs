using SparseExperts.Autograd;
using SparseExperts.Ops;
using SparseExperts.Routing.Quirks;

namespace SparseExperts.Routing;

/// <summary>From tokens to logits: what disturbs the router's input, the router itself, and what happens to padding and to knocked-out experts.</summary>
public static class RouterLogits
{
    /// <summary>What is added to the logit of an expert that shall not win.</summary>
    internal const float Lowered = -1e9f;

    const double UnitGuard = 1e-6, LargestTemperature = 4.605170185988092;      // ln 100

    /// <summary>Tokens as the router sees them [T, M]: in its own format where it has one.</summary>
    public static Tensor Input(Tape tape, RouterCall call, Tensor x, Tensor? norm = null)
    {
        var d = call.Dialect;
        x = InRouterFormat(tape, call, x);
        if (d.RouterNorm) x = Normed(tape, call, x, Needed(call, norm, "router.norm"));
        if (call.Jitters)
        {
            var jitter = tape.PlanConstant(x.Rows, x.Columns, Drawn(call, call.Draws.Jitter, "jitter", x.Value.Count));
            return tape.Round(tape.Multiply(x, jitter), d.RouterDtype ?? call.Format);
        }
        if (d.RouterPolicy != RouterPolicy.InputDropout || !call.Is(d.RouterPolicyPhase) || d.JitterAlone) return x;
        var kept = Drawn(call, call.Draws.InputDropout, "input_dropout", x.Value.Count)
            .Select(u => u < 1 - d.InputDropout ? (float)(1 / (1 - d.InputDropout)) : 0).ToArray();
        return tape.Multiply(x, tape.PlanConstant(x.Rows, x.Columns, kept));
    }

    /// <summary>RMS(x)∘w·factor, each step rounded: the norm is taken in float32 and comes back to the router's format.</summary>
    static Tensor Normed(Tape tape, RouterCall call, Tensor x, Tensor weight)
    {
        var rounded = tape.In(FormatOf(call));
        var normed = rounded.Multiply(rounded.Normed(x, call.Dialect.RouterNormEpsilon), tape.RepeatRow(weight, x));
        return rounded.Scale(normed, call.Dialect.RouterInputScale ?? 1 / Math.Sqrt(x.Columns));
    }

    /// <summary>What a router makes before its logits, and is compared with on its own: the state that it hands on, or the halves of its keys.</summary>
    public static Tensor? Before(Tape tape, RouterCall call, Tensor input, RouterWeights weights) => call.Dialect.Router switch
    {
        RouterForm.Mlp => MlpRouter.State(tape, call, input, weights),
        RouterForm.ProductKeys => ProductKeys.Halves(tape, call, input, weights),
        _ => null,
    };

    /// <summary>Logits of the shared experts that have rows of the router [T, N], or null.</summary>
    public static Tensor? Shared(Tape tape, RouterCall call, Tensor input, RouterWeights weights) => !call.Dialect.SharedInGates ? null
        : tape.Round(tape.Linear(input, InRouterFormat(tape, call, Needed(call, weights.SharedWeight, "router.shared_weight"))), LogitsFormatOf(call));

    /// <summary>Clean logits [T, E].</summary>
    /// <param name="before">What <see cref="Before"/> gave.</param>
    public static Tensor Compute(Tape tape, RouterCall call, Tensor input, RouterWeights weights, Tensor? before = null)
    {
        var logits = call.Dialect.Router switch
        {
            RouterForm.Linear => Linear(tape, call, input, weights),
            RouterForm.Mlp => MlpRouter.Logits(tape, call, before!, weights),
            RouterForm.ProductKeys => ProductKeys.Logits(tape, call, before!),
            RouterForm.Cosine => Cosine(tape, call, input, weights),
            RouterForm.LinearPerTask => PerTask(tape, call, input, weights),
            RouterForm.LinearWithEmbedding => tape.Add(
                Linear(tape, call, input, weights),
                tape.LookUp(Needed(call, weights.Table, "router.table"), tape.UploadPlan(call.TokenIds), input.Sequence)),
            RouterForm.TaskEmbedding => tape.LookUp(Needed(call, weights.Table, "router.table"), tape.UploadPlan(Tasks(call)), input.Sequence),
            RouterForm.None => Zero(tape, call),
            var other => throw new RoutingException($"{call.Where}: a router of the form {other} has a layer of its own"),
        };
        var rounded = tape.In(LogitsFormatOf(call));
        logits = rounded.Round(logits);
        if (call.Dialect.LogitsScale != 1) logits = rounded.Scale(logits, call.Dialect.LogitsScale);
        if (call.Dialect.LogitsSoftcap > 0) logits = tape.In(call.ScoreFormat).Softcap(logits, call.Dialect.LogitsSoftcap);
        return SecondPlace.KnockOut(tape, call, Padding(tape, call, logits));
    }

    static Tensor Linear(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var logits = tape.Linear(input, Stored(tape, call, Needed(call, weights.Weight, "router.weight")));
        return weights.Bias is { } bias ? tape.Add(logits, tape.RepeatRow(InRouterFormat(tape, call, bias), logits)) : logits;
    }

    /// <summary>The format of the router's arithmetic, and that of its result.</summary>
    internal static NumberFormat FormatOf(RouterCall call) => call.Dialect.RouterDtype ?? call.Format;
    static NumberFormat LogitsFormatOf(RouterCall call) => call.Dialect.LogitsDtype ?? FormatOf(call);

    /// <summary>Tokens and weights are cast to the router's format before they meet.</summary>
    static Tensor InRouterFormat(Tape tape, RouterCall call, Tensor x) => call.Dialect.RouterDtype is { } format ? tape.Round(x, format) : x;

    /// <summary>The weight as it is stored, then in the router's format.</summary>
    static Tensor Stored(Tape tape, RouterCall call, Tensor weight) =>
        InRouterFormat(tape, call, call.Dialect.RouterWeightDtype is { } format ? tape.Round(weight, format) : weight);

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
        for (var i = 0; i < ids.Length; i++)
        {
            int token = i / call.Experts, expert = i % call.Experts, routers = all.Columns / call.Experts;
            ids[i] = token * all.Columns + tasks[token] % routers * call.Experts + expert;
        }
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
        if (call.Dialect.PaddingLogits != PaddingLogits.Lowered || call.TokenMask.Length == 0) return logits;
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

    internal static T Needed<T>(RouterCall call, T? weight, string name) where T : class =>
        weight ?? throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs {name}; give it or choose another router");

    internal static float[] Drawn(RouterCall call, float[]? draws, string name, long count) =>
        draws is null ? throw new RoutingException($"{call.Where}: {call.Dialect.Name} needs draws.{name} here; give them or switch the randomness off")
        : draws.Length == count ? draws
        : throw new RoutingException($"{call.Where}: draws.{name} has {draws.Length} numbers, {count} are needed; give one for every element");
}
