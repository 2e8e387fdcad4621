using System.Globalization;

namespace SparseExperts.Oracle;

/// <summary>
/// Two calls of one layer that share tokens, among others or in another order: whether each shared token has the same bits, stage by stage. Engines that
/// promise not to depend on the batch must not depart in any.
/// </summary>
/// <param name="Layer">A name for the pair.</param>
/// <param name="PairedBy">What told which rows are the same: <c>x.row</c>, or <c>x</c>.</param>
/// <param name="Pairs">Rows of both.</param>
/// <param name="AloneFirst">Rows of the first call that the second lacks.</param>
/// <param name="AloneSecond">Rows of the second call that the first lacks.</param>
/// <param name="Apart">Paired rows of which some number has other bits.</param>
/// <param name="Reordered">Rows with the same experts in another order, where the dialect leaves the order open.</param>
/// <param name="Stages">What both files hold, inputs first, in the order in which it is computed.</param>
/// <param name="Left">Claims of both files that have no row for a token.</param>
/// <param name="Notes">What a reader should know beside the numbers.</param>
public sealed record RowComparison(
    string Layer,
    string PairedBy,
    int Pairs,
    int AloneFirst,
    int AloneSecond,
    int Apart,
    int Reordered,
    IReadOnlyList<RowStage> Stages,
    IReadOnlyList<string> Left,
    IReadOnlyList<string> Notes)
{
    /// <param name="backend">Makes backends whose numbers carry error bounds.</param>
    /// <param name="format">To whose rounding the numbers are held.</param>
    /// <exception cref="CaseException">The calls are not of one layer, share no token, or claim nothing in common.</exception>
    public static RowComparison Of(string layer, Case first, Case second, Func<IBackend> backend, FormatChoice format = FormatChoice.Auto)
    {
        using IBackend one = backend(), other = backend();
        RowStages.RequireOneLayer(first, second);
        using RowCall a = new(first, format, backend, one), b = new(second, format, backend, other);
        return new RowComparer(layer, a, b).Run();
    }

    /// <summary>Several calls as one.</summary>
    public static RowComparison Sum(string layer, IReadOnlyList<RowComparison> calls)
    {
        var order = RowStages.Inputs.Concat(RowStages.Claims).ToArray();
        var stages = calls.SelectMany(c => c.Stages).GroupBy(s => s.Stage).OrderBy(g => Array.IndexOf(order, g.Key)).Select(g => RowStage.Sum([.. g]));
        return new(
            layer,
            string.Join(" and ", calls.Select(c => c.PairedBy).Distinct()),
            calls.Sum(c => c.Pairs),
            calls.Sum(c => c.AloneFirst),
            calls.Sum(c => c.AloneSecond),
            calls.Sum(c => c.Apart),
            calls.Sum(c => c.Reordered),
            [.. stages],
            [.. calls.SelectMany(c => c.Left).Distinct()],
            [.. calls.SelectMany(c => c.Notes).Distinct()]);
    }

    /// <summary>The first stage in which a row departs, or null.</summary>
    public RowStage? First => Stages.FirstOrDefault(s => s.Apart > 0);

    /// <summary>Whether every paired row is the same, bit for bit.</summary>
    public bool IsEqual => Apart == 0;

    /// <summary>Whether whatever departs is explained by rounding alone.</summary>
    public bool IsRounding => Stages.All(s => s.IsRounding);

    /// <summary>One plain sentence.</summary>
    public string Say()
    {
        string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
        var alone = AloneFirst + AloneSecond == 0 ? "" : Invariant($" ({AloneFirst} of A and {AloneSecond} of B stand alone)");
        var paired = Invariant($"{Pairs} rows paired by {PairedBy}{alone}");
        if (First is not { } stage) return $"{paired}: equal bit for bit";
        var distance = stage.Distance() is { Length: > 0 } text ? $", {text}" : "";
        return Invariant($"{paired}: {Apart} depart, first in {stage.Stage}: {stage.Apart} of {stage.Rows} rows{distance}; {Why()}");
    }

    string Why()
    {
        if (IsRounding) return "rounding alone explains it";
        var worst = Stages.Where(s => !s.IsRounding).SelectMany(s => s.Causes.Where(c => c.Value > 0)).Max(c => c.Key);
        var stage = Stages.First(s => s.Causes[worst] > 0);
        var rows = string.Create(CultureInfo.InvariantCulture, $"{stage.Causes[worst]} rows");
        return worst switch
        {
            RowCause.Batch => $"both calls compute what they should, but from other tokens beside it ({stage.Stage}, {rows})",
            RowCause.Inputs => $"the calls were given other numbers ({stage.Stage}, {rows})",
            RowCause.Unknown => $"the files do not hold what {stage.Stage} is computed from, so that rounding cannot be told from a fault ({rows})",
            RowCause.Unexplained => $"rounding does not explain {stage.Stage} ({rows}): {Engine(stage)} departs from its own numbers, moe check its file",
            _ => throw new InvalidOperationException($"no sentence for {worst}"),
        };
    }

    static string Engine(RowStage stage) => stage.First?.Engine switch { 1 => "A", 2 => "B", _ => "one call" };
}
