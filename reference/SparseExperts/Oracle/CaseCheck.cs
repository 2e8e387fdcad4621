using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>
/// Recomputes every claim of a case from the inputs and from the claims before it, so that the first stage that departs is the culprit.
/// Integers must be equal; floats must lie within what any right float32 computation may lose, in whatever order it adds, plus what is lost in
/// writing claims down.
/// </summary>
public sealed partial class CaseCheck
{
    readonly Case _case;
    readonly IBackend _backend;
    readonly RouterCall _call;
    readonly ClaimedPlan _claimed;
    readonly List<StageVerdict> _stages = [];

    CaseCheck(Case @case, IBackend backend, Effort? effort)
    {
        (_case, _backend, _call) = (@case, backend, CaseCall.Of(@case));
        if (effort is not null) _call = _call with { Effort = effort };
        _claimed = new(_case, _call);
    }

    /// <param name="backend">A backend whose numbers carry error bounds.</param>
    /// <param name="effort">What solvers may spend; by the size of the file where it is not given.</param>
    /// <exception cref="CaseException">The file lacks something, or its shapes do not fit.</exception>
    /// <exception cref="RoutingException">The dialect cannot run on it, or its solver does not converge.</exception>
    public static Verdict Run(Case @case, IBackend backend, Effort? effort = null)
    {
        if (backend is not IErrorBounds { CarriesBounds: true })
            throw new ArgumentException($"'{backend.Info.Name}' carries no error bounds; check on one that does", nameof(backend));
        return new CaseCheck(@case, backend, effort).Run();
    }

    Verdict Run()
    {
        using var tape = new Tape(_backend);
        var tensors = new CaseTensors(_case, tape, _call);
        CaseLayer.Of(_case).Check(this, tape, tensors);
        _backend.CheckFaults();
        RefuseUnread();
        return new(_case.Named([.. _stages.Select(Located)])) { Printed = [.. _case.Printed] };
    }

    /// <summary>A claim that no stage has read must not pass as right: it needs inputs that the file lacks, or the dialect does not have it.</summary>
    void RefuseUnread()
    {
        var read = _stages.Select(s => $"claim.{s.Stage}").ToHashSet();
        if (!_case.Has("router.weight")) read.Add("claim.logits");      // it is where the check starts
        if (_case.Tensors.FirstOrDefault(t => t.Name.StartsWith("claim.", StringComparison.Ordinal) && !read.Contains(t.Name)) is { } unread)
            throw new CaseException(
                $"{_case.Path}: {unread.Name} cannot be checked: {_call.Dialect.Name} does not make it from what the file holds; "
                + $"add {(unread.Name is "claim.y" ? "experts.wi and experts.wo" : "its inputs")} or remove the claim");
    }

    /// <summary>The index of a difference as group, token, choice, expert, slot, by the shape of the claim.</summary>
    StageVerdict Located(StageVerdict stage)
    {
        if (stage.First is not { } first || _case.Find($"claim.{stage.Stage}") is not { } claim) return stage;
        int last = claim.Size(-1), before = claim.Size(-2);
        var located = stage.Stage switch
        {
            "expert" or "slot" or "gate" => OfToken() with { Choice = first.Index % last, Expert = ExpertAt(first.Index, stage.Stage) },
            "logits" or "scores" or "combine" => OfToken() with { Expert = first.Index % last },
            "token" => first with { Group = first.Index / last / before, Expert = first.Index / last % before, Slot = first.Index % last },
            "count" => first with { Group = first.Index / last, Expert = first.Index % last },
            "y" or "grad.x" => first with { Group = first.Index / last / _call.Size, Token = first.Index / last % _call.Size },
            "correction_bias" => first with { Expert = first.Index },
            "slot_dispatch" or "slot_combine" => first with
            {
                Token = first.Index / last / before % _call.Size,
                Expert = first.Index / last % before,
                Slot = first.Index % last,
            },
            "grad.router.weight" or "grad.router.noise_weight" => first with { Expert = first.Index / last },
            _ when stage.Stage.StartsWith("grad.experts.", StringComparison.Ordinal) =>
                first with { Expert = first.Index / last / (claim.Shape.Length > 2 ? before : 1) },
            _ => first,
        };
        return stage with { First = located };

        Difference OfToken() => first with { Group = first.Index / last / _call.Size, Token = first.Index / last % _call.Size };
    }

    int? ExpertAt(int index, string stage)
    {
        if (stage == "expert" || _case.Find("claim.expert") is not { } expert || index >= expert.Values.Length) return null;
        return expert.Values[index] >= 0 ? (int)expert.Values[index] : null;
    }

    IEnumerable<CaseTensor> Gradients => _case.Tensors.Where(t => t.Name.StartsWith("claim.grad.", StringComparison.Ordinal));

    void Backward(Tape tape, CaseTensors tensors, Tensor? y, Tensor? total, bool open)
    {
        var seeds = new List<(Tensor, Matrix)>();
        if (y is not null && _case.Find("cotangent.y") is { } cotangent) seeds.Add((y, tape.Written(y.Rows, y.Columns, cotangent.Values)));
        if (total is { RequiresGradient: true }) seeds.Add((total, tape.Written(1, 1, _case.Find("cotangent.losses")?.Values ?? [1.0])));
        tape.Backward([.. seeds]);
        foreach (var claim in Gradients)
        {
            var (values, errors) = tensors.Gradient(claim.Name["claim.grad.".Length..])
                ?? throw new CaseException($"{_case.Path}: {claim.Name} is the gradient of nothing in the file; add the input or remove the claim");
            Floats(claim.Name["claim.".Length..], claim, values, errors, open);
        }
    }

    Tensor? Claimed(Tape tape, string name, int columns)
    {
        if (_case.Find(name) is not { } claim) return null;
        return Given(tape, claim, _call.Tokens, columns);
    }

    /// <summary>A claim in the place of what was computed; one that was printed may be off by half a unit of its last digit.</summary>
    static Tensor Given(Tape tape, CaseTensor claim, int rows, int columns)
    {
        var matrix = tape.Rent(rows, columns);
        double[] errors = claim.Digits is null ? [] : [.. Enumerable.Range(0, claim.Values.Length).Select(claim.HalfDigit)];
        ((IErrorBounds)tape.Backend).WriteErrors(matrix, claim.Values, errors);
        return tape.Constant(matrix);
    }

    // Comparisons.

    void Compare(string stage, Tape tape, Tensor ours, Func<int, bool>? used = null, bool open = false)
    {
        if (_case.Has($"claim.{stage}")) Compare(stage, HostNumbers.Of(tape, ours), used, open);
    }

    void Compare(string stage, Numbers ours, Func<int, bool>? used = null, bool open = false)
    {
        if (_case.Find($"claim.{stage}") is { } claim) Floats(stage, claim, ours.Values, ours.Errors, open, used);
    }

    CaseTensor[] LossClaims =>
        [.. _case.Tensors.Where(t => t.Name.StartsWith("claim.loss.", StringComparison.Ordinal)).OrderBy(t => t.Name == "claim.loss.total")];

    /// <summary>
    /// Where ties leave a balance loss's own top-k open, the loss may lie anywhere between those that ties at the least and at the most wanted experts
    /// give: it is linear in who is counted.
    /// </summary>
    void CompareLosses(Tape tape, LossInputs inputs)
    {
        if (LossClaims.Length == 0) return;
        var terms = AuxiliaryLosses.Of(tape, _call, inputs);
        CompareLosses(tape, terms, SelectionCheck.HasOpenTopK(_call, inputs.Numbers) ? name => Ends(tape, inputs, terms, name) : _ => []);
    }

    /// <summary>The losses with ties settled so that one of them, or their total, is largest, and so that it is smallest.</summary>
    IEnumerable<IReadOnlyList<LossTerm>> Ends(Tape tape, LossInputs inputs, IReadOnlyList<LossTerm> terms, string name)
    {
        var gains = new double[_call.Tokens * _call.Experts];
        foreach (var term in terms)
            if (term.Level is { } level && (name == "total" ? term.Coefficient : term.Name == name ? 1 : 0) is not 0 and var weight)
                foreach (var (i, gain) in ProductLoss.PerChoice(tape, _call, inputs, level).Index()) gains[i] += weight * gain;
        foreach (var sign in (double[])[1, -1])
        {
            var chosen = SelectionCheck.TopKFavouring(_call, inputs.Numbers, Array.ConvertAll(gains, g => sign * g));
            yield return AuxiliaryLosses.Of(tape, _call, inputs with { FreshTopK = chosen });
        }
    }

    /// <param name="ends">By the name of a loss, the losses at both ends of what ties leave open.</param>
    void CompareLosses(Tape tape, IReadOnlyList<LossTerm> own, Func<string, IEnumerable<IReadOnlyList<LossTerm>>> ends)
    {
        foreach (var claim in LossClaims)
        {
            var name = claim.Name["claim.loss.".Length..];
            Tensor Value(IReadOnlyList<LossTerm> terms) => name == "total"
                ? AuxiliaryLosses.Total(tape, _call, terms) ?? tape.Scalar(0)
                : terms.FirstOrDefault(t => t.Name == name)?.Value ?? throw MissingLoss.Of(_case, _call, name, [.. terms.Select(t => t.Name)]);
            Numbers[] each = [.. ends(name).Prepend(own).Select(terms => HostNumbers.Of(tape, Value(terms)))];
            double Room(Numbers n) => Bound(claim, n.Values[0], n.Errors[0]) + claim.HalfDigit(0);
            var isBetween = claim.Values[0] >= each.Min(n => n.Values[0] - Room(n)) && claim.Values[0] <= each.Max(n => n.Values[0] + Room(n));
            Compare($"loss.{name}", each[0], open: each.Length > 1 && isBetween);
        }
    }


    /// <summary>
    /// What a claim may be off by: once what float32 may lose on the way (the other side is a double, which loses nothing that counts), half a unit
    /// of its own format, and half a unit of float32 for the claims that it is computed from, which may have been rounded where they were written.
    /// <paramref name="isChosen"/> says that it is one of those claims, which leaves no room for the last.
    /// </summary>
    /// <exception cref="InvalidOperationException">No bound was derived, which is a fault of this program.</exception>
    static double Bound(CaseTensor claim, double expected, double error, bool isChosen = false)
    {
        if (double.IsNaN(error)) throw new InvalidOperationException($"{claim.Name}: no error bound was derived where {expected:R} is expected");
        double size = Math.Abs(expected) + error, written = isChosen ? 0 : Rounding.HalfUnit(NumberFormat.Float32, size);
        return double.IsFinite(size) ? error + written + (claim.Format == NumberFormat.Float64 ? 0 : Rounding.HalfUnit(claim.Format, size)) : error;
    }

    void Whole(string stage, int[] claimed, int[] expected)
    {
        var wrong = Enumerable.Range(0, expected.Length).Where(i => i >= claimed.Length || claimed[i] != expected[i]).ToArray();
        int at = wrong.FirstOrDefault(), own = claimed.ElementAtOrDefault(at), wanted = expected.ElementAtOrDefault(at);
        Add(wrong.Length == 0 && claimed.Length == expected.Length
            ? new(stage, Outcome.Agrees)
            : new(stage, Outcome.Differs, new(at, own, wanted, double.NaN, double.NaN, wrong.Length, expected.Length)), claimed, expected);
    }

    /// <summary>A verdict on whole numbers.</summary>
    /// <param name="unordered">Numbers side by side that may stand in any order.</param>
    void Add(StageVerdict verdict, int[] claimed, int[] expected, int unordered = 1) =>
        _stages.Add(verdict with { Reading = () => Departure.Whole(claimed, expected, unordered) });

    void Floats(string stage, CaseTensor claim, double[] expected, double[] errors, bool open = false, Func<int, bool>? used = null)
    {
        if (claim.Values.Length != expected.Length)
            throw new CaseException($"{_case.Path}: {claim.Name} has {claim.Values.Length} numbers, {expected.Length} are needed; correct its shape");
        // A squared standard deviation has no gradient at 0, and a library that writes it so claims NaN there.
        open |= _call.Dialect.Importance == ImportanceLoss.CleanScores && stage.StartsWith("grad.", StringComparison.Ordinal) && claim.Values.Any(double.IsNaN);
        // Where float32 may overflow on the way the bound is infinite: another number there is neither right nor wrong.
        Difference? first = null, unknown = null;
        var (count, unknowns) = (0, 0);
        for (var i = 0; i < expected.Length; i++)
        {
            if (used?.Invoke(i) == false && claim.Values[i] == 0) continue;
            if (claim.Values[i] == expected[i] || double.IsNaN(claim.Values[i]) && double.IsNaN(expected[i])) continue;
            // Scores that no order rounds are the logits themselves, chosen among or cut off.
            var bound = Bound(claim, expected[i], errors[i], isChosen: stage == "scores" && errors[i] == 0) + claim.HalfDigit(i);
            var margin = Math.Abs(claim.Values[i] - expected[i]);
            Difference Here() => new(i, claim.Values[i], expected[i], margin, bound, 0, expected.Length);
            if (double.IsPositiveInfinity(bound))
            {
                unknowns++;
                unknown ??= Here();
            }
            else if (!(margin <= bound))
            {
                count++;
                first ??= Here();
            }
        }
        Departure Numbers()
        {
            double[] bounds = [.. expected.Select((value, i) => Bound(claim, value, errors[i]) + claim.HalfDigit(i))];
            return new(claim.Values, expected, bounds, claim.Format) { Counts = i => used?.Invoke(i) != false || claim.Values[i] != 0 };
        }
        StageVerdict verdict = first is not null ? new(stage, open ? Outcome.Undecided : Outcome.Differs, first with { Count = count })
            : unknown is not null ? new(stage, Outcome.Undecided, unknown with { Count = unknowns })
            : new(stage, Outcome.Agrees);
        _stages.Add(verdict with { Reading = Numbers });
    }
}
