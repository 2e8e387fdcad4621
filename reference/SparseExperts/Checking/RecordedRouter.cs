using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>What the tensor is that a recording has under a router's own name.</summary>
public enum RouterRecord
{
    /// <summary>Logits [T, E].</summary>
    Logits,

    /// <summary>Scores of all experts [T, E] (Gemma 4).</summary>
    Scores,

    /// <summary>Gates of the chosen experts among zeros [T, E] (GPT-OSS of transformers 4).</summary>
    DenseGates,

    /// <summary>The choice [T, k] (DeepSeek-V3 of transformers 4).</summary>
    Choice,
}

/// <summary>
/// Compares what a router makes with its recording, stage by stage, and puts what was recorded in its place: logits, choice, gates. Where nothing was
/// recorded, what was computed goes on.
/// </summary>
/// <param name="name">The router's in the recording: <c>router.model.layers.0.mlp.gate</c>.</param>
/// <param name="counts">Whether a token is compared.</param>
sealed class RecordedRouter(BlockRun run, RouterCall call, string name, RouterRecord own, Func<int, bool> counts) : Substitution
{
    readonly Recording _recording = run.Recording;
    int[] _chosen = [];

    readonly HashSet<int> _open = [];

    /// <summary>Whether a token's choice was not recorded and could have been another as well: what its experts make says nothing then.</summary>
    public bool IsOpen(int token) => _open.Contains(token);

    /// <summary>Tokens have more or fewer experts in the recording, whose gates are of no use then.</summary>
    bool _isOfOtherSize;

    Tensor Exact(CaseTensor claim, int columns) => run.Given(call.Tokens, columns, 0, _recording.Sized(claim, (long)call.Tokens * columns).Values, []);

    CaseTensor? Of(RouterRecord kind) => own == kind ? _recording.Find(name) : null;

    public override Tensor Logits(Func<Tensor> compute)
    {
        var logits = compute();
        if (Of(RouterRecord.Logits) is not { } claim) return logits;
        run.Compare(claim, run.Read(logits), i => counts(i / call.Experts));
        return Exact(claim, call.Experts);
    }

    public override Tensor Scores(Tensor computed)
    {
        if (Of(RouterRecord.Scores) is not { } claim) return computed;
        run.Compare(claim, run.Read(computed), i => counts(i / call.Experts));
        return Exact(claim, call.Experts);
    }

    /// <summary>What is known of recomputed numbers, by draws as well.</summary>
    public override RouterNumbers Numbers(Func<RouterNumbers> read)
    {
        var numbers = read();
        var logits = run.Known(numbers.Logits);
        var noisy = ReferenceEquals(numbers.Noisy, numbers.Logits) ? logits : run.Known(numbers.Noisy);
        return numbers with { Logits = logits, Noisy = noisy, Scores = ReferenceEquals(numbers.Scores, numbers.Noisy) ? noisy : run.Known(numbers.Scores) };
    }

    public override Choices Choices(RouterNumbers numbers, Func<Choices> select)
    {
        var expected = select();
        if (call.K > call.Experts) throw new RoutingException($"{call.Where}: {call.K} choices of {call.Experts} experts; choose fewer");
        if (Recorded() is not { } recorded)
        {
            _open.UnionWith(Enumerable.Range(0, call.Tokens).Where(t => SelectionCheck.Alternatives(call, numbers, expected, t).Any()));
            return expected;
        }
        if (recorded.Experts.Length != expected.Expert.Length)
        {
            var (own, its) = (expected.K, recorded.Experts.Length / call.Tokens);
            run.Decide(new(recorded.Name, Outcome.Differs, new(0, its, own, double.NaN, double.NaN, 1, 1)));
            _isOfOtherSize = true;
            return expected;
        }
        // What is not compared is as it was recorded all the same: others may have computed padding otherwise.
        int[] held = [.. recorded.Experts.Select((e, i) => counts(i / call.K) ? e : expected.Expert[i])];
        // In what order a token's experts stand says nothing, and who wins a tie, or a margin below rounding, is the library's to decide.
        var verdict = SelectionCheck.Experts(call with { Dialect = call.Dialect with { OpenOrder = true } }, numbers, expected, held, call.K);
        run.Decide(new(recorded.Name, verdict.Outcome == Outcome.Differs ? Outcome.Differs : Outcome.Agrees, verdict.First));
        return expected with { Expert = held, Candidate = held, Slot = [] };
    }

    /// <summary>The choice of every token, in the order of the recording.</summary>
    (string Name, int[] Experts)? Recorded()
    {
        if (_recording.Find($"{name}.experts") is { } choice) return (choice.Name, Checked(choice));
        if (Of(RouterRecord.Choice) is { } own) return (own.Name, Checked(own));
        return (_recording.Find($"{name}.gates") ?? Of(RouterRecord.DenseGates)) is { } gates && IsDense(gates) ? (gates.Name, NonZero(gates)) : null;
    }

    int[] Checked(CaseTensor choice)
    {
        var experts = _chosen = (choice.Values.Length % call.Tokens == 0 ? choice : _recording.Sized(choice, (long)call.Tokens * call.K)).Integers;
        if (experts.FirstOrDefault(e => e < 0 || e >= call.Experts, -1) is not -1 and var bad)
            throw new Formats.InvalidFileException(
                $"{_recording.Path}: {choice.Name} holds {bad}, there are experts 0 … {call.Experts - 1}; record it of this model");
        return experts;
    }

    bool IsDense(CaseTensor gates) => gates.Values.Length == call.Tokens * call.Experts && call.Experts != call.K;

    /// <summary>The k largest of each row: those that are not 0.</summary>
    int[] NonZero(CaseTensor gates) => _chosen =
        [.. gates.Values.Chunk(call.Experts).SelectMany(row => Ranking.Top([.. row.Select(Math.Abs)], call.K, TieRule.Lowest).Order())];

    public override Tensor Gates(Tensor computed)
    {
        if (_isOfOtherSize || (_recording.Find($"{name}.gates") ?? Of(RouterRecord.DenseGates)) is not { } claim) return computed;
        var numbers = run.Read(computed);
        if (!IsDense(claim))
        {
            run.Compare(claim, numbers, i => counts(i / call.K));
            return Exact(claim, call.K);
        }
        double[] values = new double[call.Tokens * call.Experts], errors = new double[values.Length], chosen = new double[numbers.Values.Length];
        for (var i = 0; i < chosen.Length; i++)
        {
            var at = i / call.K * call.Experts + _chosen[i];
            (values[at], errors[at], chosen[i]) = (numbers.Values[i], numbers.Errors[i], claim.Values[at]);
        }
        run.Compare(claim, new(values, errors), i => counts(i / call.Experts));
        return run.Given(call.Tokens, call.K, 0, chosen, []);
    }
}
