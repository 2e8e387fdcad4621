using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>What happened between a token and an expert.</summary>
public enum Meeting
{
    Nothing,

    /// <summary>Chosen and kept.</summary>
    Kept,

    /// <summary>Chosen, and without a slot.</summary>
    Dropped,
}

/// <summary>How a token chose: by how much its last expert won, and over which.</summary>
/// <param name="Bound">What the rounding of the numbers explains; 0 where they are claimed and so are facts.</param>
public sealed record Margin(int Token, int Last, int Next, double Value, double Bound);

/// <summary>Who met whom in a case, as claimed and as expected: what a reader wants to see of a check.</summary>
/// <param name="Scores">[T, E], what selection starts from.</param>
/// <param name="Claimed">[T·E].</param>
/// <param name="Expected">[T·E].</param>
/// <param name="Requested">Choices of every (group, expert), as claimed.</param>
/// <param name="Taken">Those that were kept.</param>
/// <param name="Capacity">Slots of an expert in a group; null where there is no limit.</param>
/// <param name="Margins">One for every token that ranks experts.</param>
/// <param name="IsReal">False for padding, one a token.</param>
public sealed record CheckPicture(
    int Groups,
    int Size,
    int Experts,
    double[] Scores,
    Meeting[] Claimed,
    Meeting[] Expected,
    int[] Requested,
    int[] Taken,
    int? Capacity,
    IReadOnlyList<Margin> Margins,
    bool[] IsReal)
{
    public int Tokens => Groups * Size;

    /// <summary>The picture of a case that can be checked; null where every token meets every expert, or routing has two levels.</summary>
    /// <param name="backend">A backend whose numbers carry error bounds.</param>
    public static CheckPicture? Of(Case @case, IBackend backend)
    {
        var call = CaseCall.Of(@case);
        if (call.Dialect.LayerKind() != LayerKind.Routed) return null;
        using var tape = new Tape(backend);
        var tensors = new CaseTensors(@case, tape, call);
        var given = @case.Find("claim.logits");
        Routed With(ClaimedPlan? claims) => RoutedLayer.Route(tape, call, tensors.X, tensors.Router, new ForcedRoutes(tape, call, given, claims));
        var inputs = With(null).Losses;
        var scores = HostNumbers.Of(tape, inputs.Scores).Values.ToArray();
        var namesChoices = @case.Has("claim.expert") || @case.Has("claim.token");
        if (!namesChoices && @case.Find("claim.combine") is { } combine) return OfWeights(call, inputs, scores, combine.Values);

        var claimed = With(new(@case, call));
        var plan = claimed.Plan;
        var requested = claimed.Choices.Loads(call.Groups, call.Experts);
        var taken = new int[requested.Length];
        for (var i = 0; i < plan.RowOf.Length; i++)
        {
            if (plan.RowOf[i] < 0) continue;
            var group = i / plan.Choices / call.Size;
            taken[group * call.Experts + plan.Expert[i]]++;
        }
        return Picture(call, inputs, scores, Meetings(call, plan), requested, taken, claimed.Capacity);
    }

    /// <summary>Weights alone show who took a token, and nobody who was asked in vain.</summary>
    static CheckPicture OfWeights(RouterCall call, LossInputs inputs, double[] scores, double[] weights)
    {
        var expected = Meetings(call, inputs.Plan);
        Meeting[] claimed = [.. weights.Select((w, i) => w != 0 ? Meeting.Kept : expected[i] == Meeting.Dropped ? Meeting.Dropped : Meeting.Nothing)];
        var requested = new int[call.Groups * call.Experts];
        var taken = new int[requested.Length];
        for (var i = 0; i < claimed.Length; i++)
        {
            var at = i / call.Experts / call.Size * call.Experts + i % call.Experts;
            if (claimed[i] != Meeting.Nothing) requested[at]++;
            if (claimed[i] == Meeting.Kept) taken[at]++;
        }
        return Picture(call, inputs, scores, claimed, requested, taken, inputs.Plan.Capacity);
    }

    static CheckPicture Picture(RouterCall call, LossInputs inputs, double[] scores, Meeting[] claimed, int[] requested, int[] taken, int capacity)
    {
        int? limit = capacity == RoutingPlan.Unlimited ? null : capacity;
        Margin[] margins = [.. MarginsOf(call, inputs.Choices)];
        bool[] isReal = [.. Enumerable.Range(0, call.Tokens).Select(call.IsReal)];
        return new(call.Groups, call.Size, call.Experts, scores, claimed, Meetings(call, inputs.Plan), requested, taken, limit, margins, isReal);
    }

    static Meeting[] Meetings(RouterCall call, RoutingPlan plan)
    {
        var meetings = new Meeting[call.Tokens * call.Experts];
        for (var i = 0; i < plan.Expert.Length; i++)
        {
            if (plan.Expert[i] < 0) continue;
            var token = i / plan.Choices;
            meetings[token * call.Experts + plan.Expert[i]] = plan.RowOf[i] >= 0 ? Meeting.Kept : Meeting.Dropped;
        }
        return meetings;
    }

    static IEnumerable<Margin> MarginsOf(RouterCall call, Choices choices)
    {
        if (choices.ByExperts || choices.Rankings.Count != 1 || choices.K >= call.Experts) yield break;
        var ranking = choices.RankingOf(0);
        for (var t = 0; t < call.Tokens; t++)
        {
            if (!call.IsReal(t)) continue;
            var best = Ranking.Top(ranking.Row(t), choices.K + 1, call.Dialect.Ties);
            int last = best[^2], next = best[^1];
            var margin = ranking.Row(t)[last] - ranking.Row(t)[next];
            if (double.IsFinite(margin)) yield return new(t, last, next, margin, ranking.Error(t, last) + ranking.Error(t, next));
        }
    }
}
