using SparseExperts.Autograd;
using SparseExperts.Formats;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking;

/// <summary>
/// One computation of a block against a recording: its inputs are what was recorded, its outputs are compared with what was recorded. What was not recorded
/// is handed on as it was computed, with its bounds.
/// </summary>
/// <param name="computed">Outputs of the blocks before, by their names in recordings.</param>
/// <param name="draws">Disturbed runs of the same computation; none where bounds of every step are all that is known.</param>
public sealed class BlockRun(Tape tape, Recording recording, IReadOnlyDictionary<string, Numbers> computed, IReadOnlyList<BlockRun>? draws = null)
{
    readonly List<ClaimVerdict> _claims = [];
    readonly List<Numbers> _read = [];

    public Tape Tape { get; } = tape;
    public Recording Recording { get; } = recording;

    /// <summary>What was compared, in order.</summary>
    public IReadOnlyList<ClaimVerdict> Claims => _claims;

    /// <summary>Outputs of this block by their names in recordings.</summary>
    public Dictionary<string, Numbers> Outputs { get; } = [];

    /// <summary>The worst of all claims: one that differs, else one that is open.</summary>
    public Outcome Outcome => _claims.Any(c => c.Outcome == Outcome.Differs) ? Outcome.Differs
        : _claims.Any(c => c.Outcome == Outcome.Undecided) ? Outcome.Undecided : Outcome.Agrees;

    /// <summary>An input [rows, columns]: the first of these names that was recorded, exact, else the first that was computed.</summary>
    /// <param name="sequence">Rows of a sequence.</param>
    /// <exception cref="InvalidFileException">None of them is there.</exception>
    public Tensor Input(int rows, int columns, int sequence, params IReadOnlyList<string> names)
    {
        if (Recording.First(names) is { } recorded) return Given(rows, columns, sequence, Recording.Sized(recorded, (long)rows * columns).Values, []);
        if (names.FirstOrDefault(computed.ContainsKey) is { } known) return Given(rows, columns, sequence, computed[known].Values, computed[known].Errors);
        throw new InvalidFileException($"{Recording.Path}: none of {string.Join(", ", names)}; record the model's input ids or the block's input");
    }

    /// <summary>Numbers on the tape that are no parameters.</summary>
    public Tensor Given(int rows, int columns, int sequence, double[] values, double[] errors)
    {
        var matrix = Tape.Rent(rows, columns);
        ((IErrorBounds)Tape.Backend).WriteErrors(matrix, values, errors);
        return Tape.Input(matrix, sequence);
    }

    /// <summary>Compares a result with every one of these names that was recorded, and hands it on under all of them.</summary>
    /// <param name="rowCounts">Whether a row is compared; null for all.</param>
    public void Output(Tensor result, Func<int, bool>? rowCounts, params IReadOnlyList<string> names)
    {
        var numbers = Read(result);
        foreach (var name in names)
        {
            Outputs[name] = numbers;
            if (Recording.Find(name) is { } claim) Compare(claim, numbers, rowCounts is null ? null : i => rowCounts(i / result.Columns));
        }
    }

    /// <summary>Compares a recorded tensor with numbers of the same order.</summary>
    public void Compare(CaseTensor claim, Numbers expected, Func<int, bool>? counts = null) =>
        _claims.Add(ClaimVerdict.Of(Recording.Sized(claim, expected.Values.Length), expected.Values, expected.Errors, counts));

    /// <summary>What was found out about a decision.</summary>
    public void Decide(ClaimVerdict verdict) => _claims.Add(verdict);

    /// <summary>
    /// Numbers and bounds that outlive the tape's reset. Where the computation was disturbed several times, the smaller of the two bounds holds: that of every
    /// step, and the spread of the draws.
    /// </summary>
    public Numbers Read(Tensor tensor)
    {
        double[] values = new double[tensor.Value.Count], errors = new double[values.Length];
        Tape.Backend.Read(tensor.Value, values);
        ((IErrorBounds)Tape.Backend).ReadErrors(tensor.Value, errors);
        return Known(new(values, errors));
    }

    /// <summary>The same of numbers that were read already; disturbed runs read in the same order.</summary>
    internal Numbers Known(Numbers numbers)
    {
        var known = new Numbers(numbers.Values, Smaller(numbers));
        _read.Add(known);
        return known;
    }

    double[] Smaller(Numbers numbers)
    {
        bool IsAlike(BlockRun other) => other._read.Count > _read.Count && other._read[_read.Count].Values.Length == numbers.Values.Length;
        if (draws is not { Count: > 0 } || !draws.All(IsAlike)) return numbers.Errors;
        return [.. numbers.Errors.Zip(Spread.Around(numbers.Values, [.. draws.Select(d => d._read[_read.Count].Values)]), Math.Min)];
    }
}
