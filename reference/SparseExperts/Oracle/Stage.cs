using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>One stage of a check, looked at by itself.</summary>
static class Stage
{
    static readonly string[] OfExperts = ["experts.", "shared.", "cotangent."];

    /// <summary>
    /// The case without what comes after a stage, so that it can be checked again and again: later claims, and the experts where no output and no gradient is
    /// looked at.
    /// </summary>
    public static Case Until(Case held, Verdict verdict)
    {
        var stage = verdict.Culprit!.Stage;
        var isGradient = stage.StartsWith("grad.", StringComparison.Ordinal);
        var later = verdict.Stages.SkipWhile(s => s.Stage != stage).Skip(1).Where(s => !isGradient || !s.Stage.StartsWith("grad.", StringComparison.Ordinal));
        HashSet<string> left = [.. later.Select(s => $"claim.{s.Stage}"), .. Fused(held, verdict, stage)];
        var isRouter = !isGradient && stage is not ("y" or "slot_dispatch" or "slot_combine") && !held.Has("router.slots")
            && verdict.Stages.TakeWhile(s => s.Stage != stage).All(s => s.Stage != "y");
        if (isRouter && (held.Has("router.weight") || held.Has("claim.logits")))
            left.UnionWith(held.Tensors.Select(t => t.Name).Where(n => n != "experts.x" && OfExperts.Any(of => n.StartsWith(of, StringComparison.Ordinal))));
        return held.Without(left);
    }

    /// <summary>Gradients of halves, which a verdict names by the tensor that the file holds.</summary>
    static IEnumerable<string> Fused(Case held, Verdict verdict, string stage) => stage.StartsWith("grad.", StringComparison.Ordinal) ? []
        : held.Tensors.Select(t => t.Name).Where(n => n.StartsWith("claim.grad.", StringComparison.Ordinal));

    /// <summary>Whether a stage agrees in a faulty call because the fault makes other numbers of it.</summary>
    public static bool Agrees(Case faulty, string stage, Departure of, Func<IBackend> backend) =>
        Diagnosis.TryCheck(faulty, backend)?.Stages.FirstOrDefault(s => s.Stage == stage) is { Outcome: not Outcome.Differs } tried
        && of.IsExplainedBy(tried.Numbers);

    /// <summary>The same where nothing before the stage departs with the fault.</summary>
    /// <param name="made">The stage whose claims are the fault's own.</param>
    public static bool Cures(Case faulty, string stage, Departure of, Func<IBackend> backend, string? made = null) =>
        Diagnosis.TryCheck(faulty, backend) is { } verdict
        && verdict.Stages.All(s => s.Outcome != Outcome.Differs || s.Stage == made)
        && verdict.Stages.FirstOrDefault(s => s.Stage == stage) is { } tried && of.IsExplainedBy(tried.Numbers);

    /// <summary>What is found on a call as it is claimed; nothing where it cannot be computed.</summary>
    public static FoundCauses On(Case held, Func<IBackend> backend, Func<ClaimedCall, FoundCauses> find)
    {
        using var own = backend();
        try
        {
            using var call = CaseCheck.Claimed(held, own);
            return find(call);
        }
        catch (Exception e) when (e is CaseException or RoutingException or DialectException or ShapeException)
        {
            return FoundCauses.None;
        }
    }

    /// <summary>The case with the experts of each token, where the file claims none and tokens choose: who looks for what tokens share needs them.</summary>
    public static Case WithExperts(Case held, Func<IBackend> backend)
    {
        if (held.Has("claim.expert") || held.Has("claim.combine") || held.Has("claim.token")) return held;
        var filled = held;
        On(held, backend, call =>
        {
            if (call.Choices.ByExperts || call.Choices.Rankings.Count == 0) return FoundCauses.None;
            long[] shape = [call.Call.Groups, call.Call.Size, call.Choices.K];
            filled = held.With(new CaseTensor("claim.expert", "I32", shape, Array.ConvertAll(call.Choices.Expert, e => (double)e)));
            return FoundCauses.None;
        });
        return filled;
    }

    /// <summary>Numbers of a tensor with their bounds.</summary>
    public static (double[] Values, double[] Errors) Numbers(ClaimedCall call, Tensor tensor)
    {
        var numbers = call.Read(tensor);
        return (numbers.Values, numbers.Errors);
    }
}
