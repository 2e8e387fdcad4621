using SparseExperts.Autograd;
using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>
/// What Adafactor takes besides rate and weight decay: names and defaults of transformers'. With <see cref="RelativeStep"/> the rate is not used.
/// </summary>
public sealed record AdafactorSettings
{
    public double? Beta1 { get; init; }
    public double ClipThreshold { get; init; } = 1;
    public double DecayRate { get; init; } = -0.8;
    public double Epsilon1 { get; init; } = 1e-30;
    public double Epsilon2 { get; init; } = 1e-3;
    public bool RelativeStep { get; init; }
    public bool ScaleParameter { get; init; } = true;
    public bool WarmUpInit { get; init; }

    /// <exception cref="ConfigurationException">A value that cannot be; one line.</exception>
    internal void Validate()
    {
        static bool IsPositive(double value) => value > 0 && double.IsFinite(value);
        if (!(IsPositive(ClipThreshold) && IsPositive(Epsilon1) && IsPositive(Epsilon2) && IsPositive(-DecayRate)))
            throw new ConfigurationException("adafactor: its clip threshold and both ε are positive numbers, its decay rate a negative one");
        if (Beta1 is not (null or >= 0 and < 1)) throw new ConfigurationException($"adafactor: beta1 {Beta1}: within [0, 1), or null for no momentum");
    }
}

/// <summary>
/// Adafactor (Shazeer &amp; Stern 2018, algorithms 4 and 5; transformers optimization.py, Adafactor): second moments kept as the row and
/// column means of every matrix, updates clipped by their root mean square. The formulas are on <see cref="IOptimizers.Adafactor"/>. Stacked expert
/// matrices are factored one by one; vectors are not factored. β₂ = 1 − t^decay rate.
/// </summary>
public sealed class Adafactor : Optimizer
{
    readonly AdafactorSettings _settings;
    readonly double _weightDecay;
    readonly Slot[] _slots;

    sealed record Slot(Parameter Parameter, Matrix? Rows, Matrix? Columns, Matrix? Full, Matrix? First);

    public Adafactor(IBackend backend, ParameterStore parameters, AdafactorSettings settings, double weightDecay) : base(backend)
    {
        (_settings, _weightDecay) = (settings, weightDecay);
        var momentum = settings.Beta1 is null ? null : parameters.Zeros();
        _slots = [.. parameters.Select(p => new Slot(p,
            p.Rows > 1 ? Zeros(p.Rows, 1) : null,
            p.Rows > 1 ? Zeros(p.Stack, p.Columns) : null,
            p.Rows > 1 ? null : Zeros(1, p.Columns),
            momentum is null ? null : ParameterStore.View(p, momentum)))];

        Matrix Zeros(int rows, int columns)
        {
            var matrix = parameters.Memory.Rent(rows, columns);
            backend.Fill(matrix, 0);
            return matrix;
        }
    }

    public override IEnumerable<(string Name, Matrix Value)> State =>
        from slot in _slots
        from part in new[] { ("rows", slot.Rows), ("columns", slot.Columns), ("full", slot.Full), ("first", slot.First) }
        where part.Item2.HasValue
        select ($"adafactor.{part.Item1}.{slot.Parameter.Name}", part.Item2.GetValueOrDefault());

    protected override void Update(double rate, Matrix factor)
    {
        var s = _settings;
        var step = new AdafactorStep(RelativeRate(rate), 1 - ReproducibleMath.Pow(Steps, s.DecayRate), s.Epsilon1, s.ScaleParameter ? s.Epsilon2 : null,
            s.ClipThreshold, s.Beta1 ?? 0, _weightDecay);
        foreach (var (parameter, rows, columns, full, first) in _slots)
        {
            if (!parameter.HasGradient) continue;
            if (full is { } second) Backend.AdafactorUnfactored(parameter.Value, parameter.Gradient, second, first, factor, step);
            else Backend.Adafactor(parameter.Value, parameter.Gradient, rows!.Value, columns!.Value, first, factor, step);
        }
    }

    double RelativeRate(double rate) => _settings.RelativeStep
        ? Math.Min(_settings.WarmUpInit ? 1e-6 * Steps : 1e-2, 1 / Math.Sqrt(Steps))
        : rate;
}
