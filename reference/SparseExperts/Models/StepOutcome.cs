using SparseExperts.Autograd;

namespace SparseExperts.Models;

/// <summary>
/// What became of a step. Ops take its factor where it lies (<see cref="IOptimizers.StepFactor"/>); who asks for more waits for the step to end.
/// </summary>
/// <param name="numbers">[1, 4]: factor, norm of the gradient, loss, cross-entropy in nats.</param>
public sealed class StepOutcome(Tape tape, Matrix numbers)
{
    /// <summary>How many numbers a step has.</summary>
    internal const int Numbers = 4;

    float[]? _host;

    float[] Host => _host ??= OnHost(tape, numbers);

    /// <summary>[1, 1]; not finite where the step changes nothing.</summary>
    public Matrix Factor => numbers.ColumnRange(0, 1);

    /// <summary>False where the step changes nothing: its loss or its gradient is not finite, an index is wrong, or one before it was left out.</summary>
    public bool IsTaken => float.IsFinite(Host[0]);

    public double Norm => Host[1];
    public double Nats => Host[3];

    /// <summary>What a reinforced router is paid: the logarithm of the likelihood.</summary>
    public double Reward => -Nats;

    /// <summary>Those of several steps, a row each, with one wait.</summary>
    internal static StepOutcome[] Read(Tape tape, Matrix numbers)
    {
        var host = OnHost(tape, numbers);
        return [.. Enumerable.Range(0, numbers.Rows).Select(row =>
            new StepOutcome(tape, numbers.RowRange(row, 1)) { _host = host[(row * Numbers)..((row + 1) * Numbers)] })];
    }

    static float[] OnHost(Tape tape, Matrix numbers)
    {
        using var report = tape.During(Activity.Report);
        return tape.Backend.ToArray(numbers);
    }
}
