using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking.Switch;

/// <summary>
/// A Switch router against its recording: <c>.logits</c>, the largest <c>.probability</c>, and <c>.kept</c>, one-hot of the choice and all 0 where the token
/// was dropped. What was recorded takes the place of what was computed, which is handed on under the same names.
/// </summary>
sealed class SwitchRouter(BlockRun run, T5Sparse layer, int tokens, int rows) : Substitution
{
    readonly Recording _recording = run.Recording;
    readonly string _name = NameOf(layer);
    readonly int _experts = layer.Parts.Config.Experts;

    /// <summary>What recordings call it: <c>router.encoder.block.1.layer.1.mlp.router</c>.</summary>
    public static string NameOf(T5Sparse layer) => $"router.{layer.Name}.mlp.router";

    /// <summary>The expert of every token, −1 where it was dropped.</summary>
    /// <exception cref="InvalidFileException">A row is no choice.</exception>
    public static int[] Kept(Recording recording, string name, int tokens, int experts)
    {
        var kept = recording.Get($"{name}.kept");
        var values = recording.Sized(kept, (long)tokens * experts).Values;
        if (values.Chunk(experts).FirstOrDefault(row => row.Any(v => v is not (0 or 1)) || row.Sum() > 1) is not null)
            throw new InvalidFileException($"{recording.Path}: {kept.Name} is not one-hot; record the router's own first result");
        return [.. values.Chunk(experts).Select(row => Array.IndexOf(row, 1.0))];
    }

    public override Tensor Logits(Func<Tensor> compute)
    {
        var logits = compute();
        run.Outputs[$"{_name}.logits"] = new(run.Tape.Backend.ToDoubles(logits.Value));
        if (_recording.Find($"{_name}.logits") is not { } claim) return logits;
        run.Compare(claim, run.Read(logits));
        return run.Given(tokens, _experts, 0, _recording.Sized(claim, (long)tokens * _experts).Values, []);
    }

    public override Tensor Scores(Tensor computed)
    {
        if (_recording.Find($"{_name}.probability") is not { } claim) return computed;
        var numbers = run.Read(computed);
        int[] best = [.. numbers.Values.Chunk(_experts).Select((row, t) => t * _experts + Array.IndexOf(row, row.Max()))];
        run.Compare(claim, new([.. best.Select(i => numbers.Values[i])], [.. best.Select(i => numbers.Errors[i])]));
        return computed;
    }

    public override RouterNumbers Numbers(Func<RouterNumbers> read)
    {
        var numbers = read();
        return numbers with { Logits = run.Known(numbers.Logits), Noisy = run.Known(numbers.Noisy), Scores = run.Known(numbers.Scores) };
    }

    /// <summary>Who was kept names its expert; ties and margins below rounding are the library's to decide.</summary>
    public override Choices Choices(RouterNumbers numbers, Func<Choices> select)
    {
        var expected = select();
        if (!_recording.Has($"{_name}.kept")) return expected;
        var kept = Kept(_recording, _name, tokens, _experts);
        int[] held = [.. expected.Expert.Select((e, t) => kept[t] < 0 ? e : kept[t])];
        var call = new RouterCall
        {
            Dialect = layer.Block.Dialect,
            Groups = rows,
            Size = tokens / rows,
            Experts = _experts,
            Training = false,
            Where = layer.Name,
        };
        var verdict = SelectionCheck.Experts(call, numbers, expected, held, 1);
        run.Decide(new($"{_name}.kept", verdict.Outcome == Outcome.Differs ? Outcome.Differs : Outcome.Agrees, verdict.First));
        return expected with { Expert = held, Candidate = held, Slot = [] };
    }

    /// <summary>Who got a slot, padding included; whoever was recorded as kept goes on.</summary>
    public override RoutingPlan Plan(Decisions decided, Func<RoutingPlan> assign)
    {
        var plan = assign();
        double[] oneHot = new double[tokens * _experts];
        for (var t = 0; t < tokens; t++)
            if (plan.RowOf[t] >= 0) oneHot[t * _experts + plan.Expert[t]] = 1;
        run.Outputs[$"{_name}.kept"] = new(oneHot);
        if (!_recording.Has($"{_name}.kept")) return plan;
        var kept = Kept(_recording, _name, tokens, _experts);
        int[] wrong = [.. Enumerable.Range(0, tokens).Where(t => plan.RowOf[t] < 0 != kept[t] < 0)];
        if (wrong.Length == 0) return plan;
        var first = wrong[0];
        var expected = plan.RowOf[first] < 0 ? -1 : plan.Expert[first];
        run.Decide(new($"{_name}.kept", Outcome.Differs, new(first, kept[first], expected, 1, 0, wrong.Length, tokens)));
        var served = new int[rows * _experts];
        int Slot(int token) => kept[token] < 0 ? RoutingPlan.Dropped : served[token / (tokens / rows) * _experts + plan.Expert[token]]++;
        return new(_experts, rows, 1, RoutingPlan.Unlimited, plan.Expert, [.. Enumerable.Range(0, tokens).Select(Slot)]);
    }
}
