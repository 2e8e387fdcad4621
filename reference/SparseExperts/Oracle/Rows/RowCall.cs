using SparseExperts.Routing;

namespace SparseExperts.Oracle;

/// <summary>One of two calls whose rows are compared: its numbers by token, and what they must be by its own claims before them.</summary>
sealed class RowCall : IDisposable
{
    readonly Dictionary<string, Departure?> _stages;
    readonly ClaimedCall? _claimed;

    /// <param name="backend">Makes backends whose numbers carry error bounds.</param>
    /// <param name="claimed">One of them, which lives longer than the call.</param>
    /// <exception cref="CaseException">The file's dialect cannot run on it.</exception>
    public RowCall(Case @case, FormatChoice format, Func<IBackend> backend, IBackend claimed)
    {
        Case = @case;
        var call = CaseCall.Of(@case);
        (Tokens, Groups) = (call.Tokens, call.Groups);
        RealTokens = [.. Enumerable.Range(0, Tokens).Where(call.IsReal)];
        var rows = RowStages.Checkable(@case);
        try
        {
            var check = FormatCheck.Run(rows, format, backend);
            _stages = check.Verdict.Stages.ToDictionary(s => s.Stage, s => s.Numbers);
            if (call.Dialect.LayerKind() == LayerKind.Routed) _claimed = CaseCheck.Claimed(check.Case, claimed);
        }
        catch (Exception e) when (e is CaseException or RoutingException or DialectException or ShapeException)
        {
            (_stages, WhyUnknown) = ([], e.Message);
        }
    }

    public void Dispose() => _claimed?.Dispose();

    public Case Case { get; }
    public int Tokens { get; }
    public int Groups { get; }
    public IReadOnlyList<int> RealTokens { get; }

    /// <summary>Why nothing can be said of what rounding explains; null where it can.</summary>
    public string? WhyUnknown { get; }

    /// <summary>Group and token of the group.</summary>
    public RowPlace Place(int token) => new(token / (Tokens / Groups), token % (Tokens / Groups));

    /// <summary>The numbers of a token.</summary>
    public ReadOnlySpan<double> Row(CaseTensor tensor, int token) => tensor.Values.AsSpan(token * Width(tensor), Width(tensor));

    public int Width(CaseTensor tensor) => tensor.Values.Length / Tokens;

    /// <summary>Whether slots are so few that other tokens may take one away.</summary>
    public bool HasCapacity => _claimed is { } claimed
        ? claimed.Decided.Capacity != RoutingPlan.Unlimited && Case.Dialect.DropPolicy != DropPolicy.None
        : Case.Dialect.CapacityFormula != CapacityFormula.None;

    /// <summary>How far off a stage's numbers may be; null where they cannot be recomputed.</summary>
    public double[]? Bounds(string stage) => _stages.GetValueOrDefault(stage)?.Bounds;

    /// <summary>Whether a token's numbers follow from what the file claims before them; null where that cannot be recomputed.</summary>
    public bool? Follows(string stage, CaseTensor claim, int token)
    {
        if (stage == "expert") return Allows(token, [.. Row(claim, token).ToArray().Select(e => (int)e)]);
        if (_stages.GetValueOrDefault(stage) is not { } numbers) return null;
        int width = Width(claim), start = token * width;
        for (var i = start; i < start + width; i++)
        {
            double own = numbers.Claimed[i], expected = numbers.Expected[i];
            if (numbers.Counts(i) && !LastPlaces.IsSame(own, expected) && !(Math.Abs(own - expected) <= numbers.Bounds[i])) return false;
        }
        return true;
    }

    /// <summary>Whether a token may have these experts by this call's own numbers; null where experts choose, or nothing is known of the numbers.</summary>
    public bool? Allows(int token, int[] experts)
    {
        if (_claimed is not { Expected: { ByExperts: false } expected } claimed) return null;
        return SelectionCheck.Allows(claimed.Call, claimed.Routed.Scored.Numbers, expected, token, experts);
    }
}

/// <summary>Where a row stands in its call.</summary>
public sealed record RowPlace(int Group, int Token);
