using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>To which format's rounding a check holds the numbers of a file.</summary>
public enum FormatChoice
{
    /// <summary>What the file stores; a claim that float32 does not explain, by the narrower format that all its numbers are of.</summary>
    Auto,

    /// <summary>float32, whatever the file stores.</summary>
    Float32,

    /// <summary>bfloat16, from the start.</summary>
    BFloat16,

    /// <summary>float16, from the start.</summary>
    Float16,
}

/// <summary>A narrower format that a check holds a case to, and the tensors that speak for it.</summary>
public sealed record HeldFormat(NumberFormat Format, IReadOnlyList<string> Tensors)
{
    /// <summary>Its name in files.</summary>
    public string Name => Format.Name();

    public override string ToString() => $"{string.Join(", ", Tensors)}: every number is a {Format.Word()}; held to its rounding";
}

/// <summary>
/// The check of a case in the format that it was computed in. Float32 comes first, so that nothing is held to a coarser format that float32 explains;
/// a claim that differs is held to bfloat16 (else float16) when all its numbers, all of the tokens and all of the experts' weights are numbers of that
/// format and enough of them have more bits than chance gives. Whole numbers have no format: they never ask for one.
/// </summary>
/// <param name="Case">The case as it was held.</param>
public sealed record FormatCheck(Case Case, Verdict Verdict)
{
    /// <param name="backend">Makes backends whose numbers carry error bounds.</param>
    /// <exception cref="CaseException">The file cannot be checked, or is not of the format that was chosen.</exception>
    public static FormatCheck Run(Case @case, FormatChoice choice, Func<IBackend> backend)
    {
        var first = Plain(As(@case, choice), backend);
        first = first with { Verdict = first.Verdict with { FormatDepartures = StageFormats.Departures(@case) } };
        if (choice != FormatChoice.Auto || Explanation(@case, first.Verdict) is not { } held) return first;
        var second = Plain(StoredFormat.In(@case, held.Format), backend);
        return second with { Verdict = second.Verdict with { Held = held, FormatDepartures = first.Verdict.FormatDepartures } };
    }

    /// <summary>The case in the format in which <see cref="Run"/> leaves it; as it is, where the dialect that it names cannot run on it.</summary>
    /// <exception cref="CaseException">The file is not of the format that was chosen.</exception>
    public static (Case Case, HeldFormat? Held) Settle(Case @case, FormatChoice choice, Func<IBackend> backend)
    {
        if (choice != FormatChoice.Auto) return (As(@case, choice), null);
        var held = Diagnosis.TryCheck(@case, backend) is { } verdict ? Explanation(@case, verdict) : null;
        return held is null ? (@case, null) : (StoredFormat.In(@case, held.Format), held);
    }

    static Case As(Case @case, FormatChoice choice) => choice switch
    {
        FormatChoice.Float32 => StoredFormat.InFloat32(@case),
        FormatChoice.BFloat16 => Forced(@case, NumberFormat.BFloat16),
        FormatChoice.Float16 => Forced(@case, NumberFormat.Float16),
        FormatChoice.Auto => @case,
        _ => throw new ArgumentOutOfRangeException(nameof(choice), choice, "unknown choice of a format"),
    };

    static FormatCheck Plain(Case @case, Func<IBackend> backend)
    {
        using var own = backend();
        return new(@case, CaseCheck.Run(@case, own));
    }

    /// <summary>The format that what differs is held to; null where the numbers speak for none.</summary>
    static HeldFormat? Explanation(Case @case, Verdict verdict)
    {
        var claimed = verdict.Stages.Where(s => s.Outcome == Outcome.Differs).Select(s => @case.Find($"claim.{s.Stage}")).OfType<CaseTensor>();
        CaseTensor[] different = [.. claimed.Where(t => t.DType is "F32" or "F64")];
        if (different.Length == 0) return null;
        CaseTensor[] arithmetic = [.. StoredFormat.Arithmetic(@case)];
        foreach (var format in StoredFormat.Narrow)
        {
            if (!arithmetic.All(t => StoredFormat.Holds(format, t))) continue;
            CaseTensor[] claims = [.. different.Where(t => StoredFormat.Holds(format, t))];
            if (claims.Length > 0 && StoredFormat.Tells([.. arithmetic, .. claims])) return new(format, ["x", .. claims.Select(t => t.Name)]);
        }
        return null;
    }

    static Case Forced(Case @case, NumberFormat format)
    {
        foreach (var tensor in StoredFormat.Arithmetic(@case))
            if (StoredFormat.FirstOutside(format, tensor) is { } value)
            {
                var number = FormattableString.Invariant($"{value:R}");
                throw new CaseException($"{@case.Path}: {tensor.Name} holds {number}, which is no {format.Name()} number; name another format");
            }
        return StoredFormat.In(@case, format);
    }
}
