using SparseExperts.Autograd;

namespace SparseExperts.Training;

/// <summary>Names and defaults of transformers' Adafactor. With <see cref="RelativeStep"/> the rate is not used.</summary>
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
    public double WeightDecay { get; init; }
}

/// <summary>
/// Adafactor (Shazeer &amp; Stern 2018, algorithms 4 and 5; transformers optimization.py, Adafactor): second moments kept as the row and
/// column means of every matrix, updates clipped by their root mean square. Stacked expert matrices are factored one by one; vectors are
/// not factored. Computed on the host in double, state rounded to the backend's reals after every step.
/// </summary>
public sealed class Adafactor : Optimizer
{
    readonly AdafactorSettings _settings;
    readonly Slot[] _slots;

    sealed record Slot(Parameter Parameter, Matrix? Rows, Matrix? Columns, Matrix? Full, Matrix? First);

    public Adafactor(IBackend backend, IReadOnlyList<Parameter> parameters, AdafactorSettings settings) : base(backend)
    {
        _settings = settings;
        _slots = [.. parameters.Select(p => new Slot(p,
            p.Rows > 1 ? Zeros(backend, p.Rows, 1) : null,
            p.Rows > 1 ? Zeros(backend, p.Stack, p.Columns) : null,
            p.Rows > 1 ? null : Zeros(backend, 1, p.Columns),
            settings.Beta1 is null ? null : Zeros(backend, p.Rows, p.Columns)))];
    }

    public override IEnumerable<(string Name, Matrix Value)> State =>
        from slot in _slots
        from part in new[] { ("rows", slot.Rows), ("columns", slot.Columns), ("full", slot.Full), ("first", slot.First) }
        where part.Item2.HasValue
        select ($"adafactor.{part.Item1}.{slot.Parameter.Name}", part.Item2.GetValueOrDefault());

    protected override void Update(double rate, double factor)
    {
        foreach (var slot in _slots)
            if (slot.Parameter.HasGradient) Update(slot, rate, factor);
    }

    void Update(Slot slot, double rate, double factor)
    {
        var p = Backend.ToDoubles(slot.Parameter.Value);
        var g = Backend.ToDoubles(slot.Parameter.Gradient);
        for (var i = 0; i < g.Length; i++) g[i] *= factor;

        var step = RelativeRate(rate) * (_settings.ScaleParameter ? Math.Max(_settings.Epsilon2, RootMeanSquare(p)) : 1);
        var decay = 1 - ReproducibleMath.Pow(Steps, _settings.DecayRate);
        var update = slot.Full is { } full ? Plain(full, g, decay) : Factored(slot, g, decay);

        var clip = Math.Max(1, RootMeanSquare(update) / _settings.ClipThreshold);
        for (var i = 0; i < update.Length; i++) update[i] *= step / clip;
        if (slot.First is { } first && _settings.Beta1 is { } beta1)
        {
            var m = Backend.ToDoubles(first);
            for (var i = 0; i < m.Length; i++) update[i] = m[i] = beta1 * m[i] + (1 - beta1) * update[i];
            Backend.Write(first, m);
        }
        for (var i = 0; i < p.Length; i++) p[i] = p[i] * (1 - _settings.WeightDecay * step) - update[i];
        Backend.Write(slot.Parameter.Value, p);
    }

    double RelativeRate(double rate) => _settings.RelativeStep
        ? Math.Min(_settings.WarmUpInit ? 1e-6 * Steps : 1e-2, 1 / Math.Sqrt(Steps))
        : rate;

    double[] Plain(Matrix full, double[] g, double decay)
    {
        var v = Backend.ToDoubles(full);
        for (var i = 0; i < v.Length; i++) v[i] = decay * v[i] + (1 - decay) * (g[i] * g[i] + _settings.Epsilon1);
        Backend.Write(full, v);
        return [.. g.Select((x, i) => x / Math.Sqrt(v[i]))];
    }

    /// <summary>g / √(R_i C_j / mean R) with R, C the running means of g² + ε₁ along rows and columns.</summary>
    double[] Factored(Slot slot, double[] g, double decay)
    {
        int stack = slot.Parameter.Stack, columns = slot.Parameter.Columns, rows = slot.Parameter.Rows / stack;
        double[] r = Backend.ToDoubles(slot.Rows!.Value), c = Backend.ToDoubles(slot.Columns!.Value), update = new double[g.Length];
        double[] rowSums = new double[r.Length], columnSums = new double[c.Length];
        for (var i = 0; i < g.Length; i++)
        {
            var square = g[i] * g[i] + _settings.Epsilon1;
            rowSums[i / columns] += square;
            columnSums[i / columns / rows * columns + i % columns] += square;
        }
        for (var i = 0; i < r.Length; i++) r[i] = decay * r[i] + (1 - decay) * rowSums[i] / columns;
        for (var i = 0; i < c.Length; i++) c[i] = decay * c[i] + (1 - decay) * columnSums[i] / rows;
        for (var s = 0; s < stack; s++)
        {
            var mean = r.AsSpan(s * rows, rows).ToArray().Average();
            for (var i = s * rows; i < (s + 1) * rows; i++)
                for (var j = 0; j < columns; j++)
                    update[i * columns + j] = g[i * columns + j] / Math.Sqrt(r[i] / mean * c[s * columns + j]);
        }
        Backend.Write(slot.Rows.Value, r);
        Backend.Write(slot.Columns.Value, c);
        return update;
    }

    static double RootMeanSquare(double[] values)
    {
        var sum = 0.0;
        foreach (var x in values) sum += x * x;
        return Math.Sqrt(sum / values.Length);
    }
}
