namespace SparseExperts.Oracle;

/// <summary>What an implementation does instead: something that computes other numbers, which are the ones that it claims.</summary>
/// <param name="What">The axis, or the part of the layer.</param>
/// <param name="Value">What it is there.</param>
/// <param name="Sentence">In the words of the person who has the bug.</param>
public sealed record Cause(string What, string Value, string Sentence)
{
    /// <summary>The axis one of whose values is the same thing; null where there is none.</summary>
    internal string? Axis { get; init; }

    /// <summary>What the departing numbers have in common, which more than one fault may give them: never certain.</summary>
    internal bool IsPattern { get; init; }
}

/// <summary>A call with one fault in its tensors or its dialect: as it would have to be for the claims to be right.</summary>
/// <param name="Case">The call with the fault.</param>
public sealed record FaultyCall(Cause Cause, Case Case);

/// <summary>One fault of a stage and the numbers that the stage has with it.</summary>
sealed record FaultyNumbers(Cause Cause, Func<(double[] Values, double[] Errors)?> Compute)
{
    /// <summary>Whole numbers.</summary>
    public FaultyNumbers(Cause cause, Func<int[]?> compute)
        : this(cause, () => compute() is { } whole ? (Array.ConvertAll(whole, v => (double)v), new double[whole.Length]) : null)
    {
    }
}

/// <summary>Causes that were found by making faults again.</summary>
/// <param name="Tried">How many faults were tried; fewer than there are where the file is too large for all.</param>
/// <param name="Of">How many there are.</param>
sealed record FoundCauses(IReadOnlyList<Cause> Causes, int Tried = 0, int Of = 0)
{
    public static FoundCauses None { get; } = new([]);

    /// <summary>That some were not tried, in words.</summary>
    public string Untried => Tried == Of ? "" : $" (of {Of} faults that are made again, {Tried} were tried)";

    /// <summary>These and others.</summary>
    public FoundCauses And(FoundCauses others) => new([.. Causes, .. others.Causes.Where(o => Causes.All(c => c.Sentence != o.Sentence))],
        Tried + others.Tried, Of + others.Of);

    /// <summary>Those of the faults that reproduce the claims, tried in order within the file's effort.</summary>
    public static FoundCauses Among(Case held, IReadOnlyList<FaultyCall> faults, Func<Case, bool> reproduces)
    {
        var (effort, one, tried) = (new Routing.Effort(CheckEffort.Diagnosis(held)), CheckEffort.Of(held), 0);
        List<Cause> found = [];
        foreach (var fault in faults)
        {
            if (!effort.TrySpend(one)) break;
            tried++;
            if (found.All(f => f.Sentence != fault.Cause.Sentence) && reproduces(fault.Case)) found.Add(fault.Cause);
        }
        return new(found, tried, faults.Count);
    }

    /// <summary>Those of the faults whose numbers are the claims; of a large stage as many are tried as a few seconds allow.</summary>
    public static FoundCauses Among(Departure of, IEnumerable<FaultyNumbers> faults)
    {
        List<Cause> found = [];
        FaultyNumbers[] all = [.. faults];
        var (effort, tried) = (new Routing.Effort(Numbers), 0);
        foreach (var fault in all)
        {
            if (!effort.TrySpend(of.Claimed.Length)) break;
            tried++;
            if (found.All(f => f.Sentence != fault.Cause.Sentence) && fault.Compute() is { } made && of.AreOthers(made.Values, made.Errors))
                found.Add(fault.Cause);
        }
        return new(found, tried, all.Length);
    }

    /// <summary>Numbers that faults of one stage may make together.</summary>
    const long Numbers = 1 << 25;
}
