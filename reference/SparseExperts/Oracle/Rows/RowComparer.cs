namespace SparseExperts.Oracle;

/// <summary>Goes through the stages of two calls and, for each row that departs, keeps the cause.</summary>
sealed class RowComparer(string layer, RowCall first, RowCall second)
{
    readonly RowPairs _rows = RowPairs.Of(first, second);

    /// <summary>Of each pair, why it departed so far; null while it is equal.</summary>
    readonly Dictionary<int, RowCause> _causes = [];

    /// <summary>Of each pair whose experts stand in another order, where those of the first stand in the second.</summary>
    readonly Dictionary<int, int[]> _orders = [];

    public RowComparison Run()
    {
        if (first.Case.Dialect.OpenOrder && second.Case.Dialect.OpenOrder) FindOrders();
        List<RowStage> stages = [];
        foreach (var name in RowStages.Inputs)
            if (first.Case.Has(name) && second.Case.Has(name)) stages.Add(Compare(name, name));
        var given = stages.Count;
        foreach (var name in RowStages.Claims)
            if (first.Case.Has($"claim.{name}") && second.Case.Has($"claim.{name}")) stages.Add(Compare(name, $"claim.{name}"));
        if (stages.Count == given)
        {
            var nothing = $"it claims nothing by row that {first.Case.Path} claims too";
            throw new CaseException($"{second.Case.Path}: {nothing}; record logits, experts, gates or y in both");
        }
        return new(layer, _rows.By, _rows.Pairs.Count, _rows.AloneFirst, _rows.AloneSecond, _causes.Count, _orders.Count, stages,
            [.. RowStages.Left(first.Case, second.Case)], [.. Notes()]);
    }

    IEnumerable<string> Notes()
    {
        var d = first.Case.Dialect;
        if (d.Name != second.Case.Dialect.Name) yield return $"the files name two dialects, {d.Name} and {second.Case.Dialect.Name}";
        if (first.HasCapacity || second.HasCapacity)
            yield return $"{d.Name} has a capacity: the batch may matter, for other tokens may take a slot away";
        else if (!d.RoutesAlone && !d.IsRandom(first.Case.Training))
            yield return $"{d.Name} lets tokens decide for each other: the batch may matter";
        foreach (var call in (RowCall[])[first, second])
            if (call.WhyUnknown is { } why) yield return $"what rounding explains is not known: {why}";
    }

    void FindOrders()
    {
        if (first.Case.Find("claim.expert") is not { } own || second.Case.Find("claim.expert") is not { } theirs) return;
        for (var pair = 0; pair < _rows.Pairs.Count; pair++)
        {
            var (a, b) = (first.Row(own, _rows.Pairs[pair].First).ToArray(), second.Row(theirs, _rows.Pairs[pair].Second).ToArray());
            if (a.AsSpan().SequenceEqual(b) || !a.Order().SequenceEqual(b.Order()) || a.Distinct().Count() != a.Length) continue;
            _orders[pair] = Array.ConvertAll(a, e => Array.IndexOf(b, e));
        }
    }

    RowStage Compare(string stage, string name)
    {
        CaseTensor a = first.Case.Get(name), b = second.Case.Get(name);
        var isInput = stage == name;
        var format = a.DType[0] is 'I' or 'U' || a.DType == "BOOL" || stage is "expert" or "slot" ? (NumberFormat?)null : Shared(a, b);
        var causes = Enum.GetValues<RowCause>().ToDictionary(c => c, _ => 0);
        RowDifference? departure = null;
        long? units = format is null ? null : 0;
        for (var pair = 0; pair < _rows.Pairs.Count; pair++)
        {
            var row = new RowNumbers(stage, pair, first.Row(a, _rows.Pairs[pair].First).ToArray(), Ordered(pair, stage, b));
            if (row.Departs is not { } at) continue;
            var (cause, engine) = isInput ? (RowCause.Inputs, 0) : Cause(row, a, b);
            _causes[pair] = _causes.TryGetValue(pair, out var before) && before > cause ? before : cause;
            causes[cause]++;
            if (format is { } f) units = row.Units(f) is { } distance && units is { } largest ? Math.Max(distance, largest) : null;
            if (departure is not null && (departure.Engine > 0 || engine == 0)) continue;
            var (own, other) = _rows.Pairs[pair];
            departure = new(layer, first.Place(own), second.Place(other), at, row.First[at], row.Second[at], cause, engine);
        }
        return new(stage, isInput, _rows.Pairs.Count, format, units, causes, departure);
    }

    /// <summary>The second call's numbers of a pair in the order of the first's choices.</summary>
    double[] Ordered(int pair, string stage, CaseTensor tensor)
    {
        var row = second.Row(tensor, _rows.Pairs[pair].Second).ToArray();
        return stage is "expert" or "slot" or "gate" && _orders.TryGetValue(pair, out var order) && order.Length == row.Length
            ? Array.ConvertAll(order, j => row[j])
            : row;
    }

    /// <summary>A narrow format that both hold, with enough bits to tell; else the coarser of those that they are kept in.</summary>
    static NumberFormat Shared(CaseTensor a, CaseTensor b)
    {
        foreach (var narrow in StoredFormat.Narrow)
            if (StoredFormat.Holds(narrow, a) && StoredFormat.Holds(narrow, b) && StoredFormat.Tells([a, b])) return narrow;
        return a.Format > b.Format ? a.Format : b.Format;
    }

    (RowCause, int Engine) Cause(RowNumbers row, CaseTensor a, CaseTensor b)
    {
        var (own, theirs) = _rows.Pairs[row.Pair];
        var isKnown = _causes.TryGetValue(row.Pair, out var before);
        if (row.Stage == "slot") return (isKnown && before > RowCause.Batch ? before : RowCause.Batch, 0);
        bool? follows = first.Follows(row.Stage, a, own), othersFollow = second.Follows(row.Stage, b, theirs);
        if (follows == false) return (RowCause.Unexplained, 1);
        if (othersFollow == false) return (RowCause.Unexplained, 2);
        if (follows is null || othersFollow is null) return (isKnown && before == RowCause.Inputs ? before : RowCause.Unknown, 0);
        // Gradients are made of the whole call again, not of the claims before them.
        if (isKnown && !row.IsGradient) return (before, 0);
        return IsWithin(row, own, theirs) ? (RowCause.Rounding, 0) : (isKnown && before > RowCause.Batch ? before : RowCause.Batch, 0);
    }

    /// <summary>
    /// Whether two rows that follow from the same numbers lie no further apart than both may be off; for choices, whether either call allows both.
    /// </summary>
    bool IsWithin(RowNumbers row, int own, int theirs)
    {
        if (row.Stage == "expert")
        {
            int[] chosen = Array.ConvertAll(row.First, e => (int)e), others = Array.ConvertAll(row.Second, e => (int)e);
            return first.Allows(own, others) == true && second.Allows(theirs, chosen) == true;
        }
        if (first.Bounds(row.Stage) is not { } bounds || second.Bounds(row.Stage) is not { } itsBounds) return false;
        var width = row.First.Length;
        // The places of the second call's numbers are its own, whatever order they are read in.
        double Other(int i) => itsBounds[theirs * width + (row.IsOfChoices && _orders.TryGetValue(row.Pair, out var order) ? order[i] : i)];
        return Enumerable.Range(0, width).All(i =>
            LastPlaces.IsSame(row.First[i], row.Second[i]) || Math.Abs(row.First[i] - row.Second[i]) <= bounds[own * width + i] + Other(i));
    }
}

/// <summary>A stage's numbers of one pair.</summary>
sealed record RowNumbers(string Stage, int Pair, double[] First, double[] Second)
{
    public bool IsGradient => Stage.StartsWith("grad.", StringComparison.Ordinal);

    public bool IsOfChoices => Stage is "expert" or "slot" or "gate";

    /// <summary>
    /// The first number that has other bits; of slots, which are places among other tokens, the first that only one call has. Null where all are equal.
    /// </summary>
    public int? Departs
    {
        get
        {
            for (var i = 0; i < First.Length; i++)
                if (Stage == "slot" ? First[i] < 0 != Second[i] < 0 : !LastPlaces.IsSame(First[i], Second[i])) return i;
            return null;
        }
    }

    /// <summary>The largest distance in a format's last places; null where a number is not finite.</summary>
    public long? Units(NumberFormat format)
    {
        long largest = 0;
        for (var i = 0; i < First.Length; i++)
            if (LastPlaces.Between(format, First[i], Second[i]) is { } steps) largest = Math.Max(largest, steps);
            else return null;
        return largest;
    }
}
