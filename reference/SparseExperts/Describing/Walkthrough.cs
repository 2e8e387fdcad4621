using System.Globalization;
using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Describing;

/// <summary>
/// One small call of a routed layer in evaluation, followed stage by stage with its numbers: six tokens of width 2, three experts. Expert e is
/// relu((e + 1)·x), so that everything can be checked by hand. docs/walkthrough.md tells the same with words.
/// </summary>
public static class Walkthrough
{
    const int Tokens = 6, Width = 2, Experts = 3;

    static readonly float[] X = [2, 1, 1.5f, 0.5f, 1, 2, 3, 0, 1, 0, 2, -1];
    static readonly float[] Router = [1, 0, -1, 0, 1, -1];

    /// <exception cref="DialectException">The dialect needs more than a linear router and experts; one line.</exception>
    public static string Of(Dialect dialect, IBackend backend)
    {
        Require(dialect);
        using var tape = new Tape(backend);
        var call = new RouterCall { Dialect = dialect, Groups = 1, Size = Tokens, Experts = Experts, Training = false, Where = "walkthrough" };
        var x = tape.Constant(Tokens, Width, X);
        var routed = RoutedLayer.Route(tape, call, x, new() { Weight = tape.Constant(Width, Experts, Router) });
        var experts = Multiples(tape);
        var indices = new PlanIndices(tape, routed.Handle);
        var rows = tape.Dispatch(x, indices);
        var outputs = FeedForward.Grouped(tape, call, rows, experts, indices.Offsets);
        var y = RoutedLayer.Output(tape, call, routed, x, null, experts);
        var losses = AuxiliaryLosses.Of(tape, call, routed.Losses);
        return string.Join('\n',
        [
            $"{dialect.Name}, evaluation: T = {Tokens} tokens of width M = {Width}, E = {Experts} experts, expert e is relu((e + 1)·x)",
            .. Stage("x [T, M]", "Routing/RouterCall.cs", Matrix(x)),
            .. Stage("logits = x·W [T, E], W = [1 0 -1; 0 1 -1]", "Routing/Routers/RouterLogits.cs", Matrix(routed.Scored.Logits)),
            .. Stage("scores [T, E]", "Routing/Routers/RouterScores.cs", Matrix(routed.Scored.Scores)),
            .. Stage("experts that are asked for [T, K]", "Routing/Selecting/TopK.cs", PerToken(routed.Plan, (plan, i) => $"{plan.Expert[i]}")),
            .. Stage("capacity, slots an expert", "Routing/CapacityRule.cs", [routed.Capacity == RoutingPlan.Unlimited ? "no limit" : $"{routed.Capacity}"]),
            .. Stage("slots, x where the expert is full [T, K]", "Routing/Slots.cs",
                PerToken(routed.Plan, (plan, i) => plan.RowOf[i] < 0 ? "x" : $"{plan.Slot[i]}")),
            .. Stage("gates [T, K]", "Routing/Routers/Gates.cs", Matrix(routed.Gates)),
            .. Stage("dispatched rows [rows, M]", "Ops/Dispatch.cs", OfRows(routed.Plan, rows)),
            .. Stage("what the experts make of them [rows, M]", "Layers/FeedForward.cs", OfRows(routed.Plan, outputs)),
            .. Stage("y, each row times its gate, back at its token [T, M]", "Layers/Experts.cs", Matrix(y)),
            .. Stage("losses and their coefficients", "Losses/AuxiliaryLosses.cs",
                [.. losses.Select(l => $"{l.Name} {Number(backend.ToDoubles(l.Value.Value)[0])} times {Number(l.Coefficient)}")]),
        ]);

        string[] Matrix(Tensor of) =>
            [.. Values(of).Select((row, t) => $"token {t}:{Line(row)}")];
        string[] OfRows(RoutingPlan plan, Tensor of) =>
            [.. Values(of).Select((row, r) => $"expert {ExpertOf(plan, r)}, token {plan.TokenOfRow[r]}:{Line(row)}")];
        string Line(double[] row) => string.Concat(row.Select(v => Number(v).PadLeft(9)));
        IEnumerable<double[]> Values(Tensor of) => backend.ToDoubles(of.Value).Chunk(of.Columns);
    }

    static void Require(Dialect d)
    {
        var isPlain = d is
        {
            Router: RouterForm.Linear, Selection: Selection.TopK, CorrectionBias: false, RouterNorm: false, ExpertScale: false, GlobalScale: false,
            GatedExperts: false, LatentExperts: false, SharedExpert: false, OutputBias: false, IdentityExperts: 0, NullExperts: 0,
        };
        if (!isPlain || d.K > Experts || d.Groups > 1 || d.IsRandom(training: false))
            throw new DialectException($"{d.Name}: the walkthrough has a linear router, plain experts and no draws; choose mesh.switch, or a dialect like it");
    }

    /// <summary>Expert e multiplies by e + 1 before its non-linearity.</summary>
    static ExpertWeights Multiples(Tape tape)
    {
        float[] Diagonals(Func<int, float> of) => [.. Enumerable.Range(0, Experts).SelectMany(e => (float[])[of(e), 0, 0, of(e)])];
        Tensor Stacked(float[] values) => tape.Constant(Experts * Width, Width, values);
        return new() { Wi = Stacked(Diagonals(e => e + 1)), Wo = Stacked(Diagonals(_ => 1)) };
    }

    static IEnumerable<string> Stage(string title, string file, string[] lines) => ["", $"{title}   ({file})", .. lines.Select(line => $"  {line}")];

    static string[] PerToken(RoutingPlan plan, Func<RoutingPlan, int, string> text) =>
    [
        .. Enumerable.Range(0, plan.Tokens).Select(t =>
            $"token {t}: {string.Join(' ', Enumerable.Range(t * plan.Choices, plan.Choices).Select(i => text(plan, i)))}"),
    ];

    static int ExpertOf(RoutingPlan plan, int row) => Enumerable.Range(0, plan.Experts).Last(e => plan.Offsets[e] <= row);

    static string Number(double value) => value.ToString("0.0000", CultureInfo.InvariantCulture);
}
