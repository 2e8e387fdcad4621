using SparseExperts.Autograd;

namespace SparseExperts.Ops;

/// <summary>
/// Ops that change no value and widen its error bound, by what engines of a narrow format may lose on ways that the definition leaves open: one adds
/// up in float32 and rounds once, another rounds at every addition. Where no bounds are carried, and in float32, they are not there.
/// </summary>
public static partial class Op
{
    /// <summary>
    /// Y = X, X the sum of K rows a token as <see cref="Collect"/> makes it: K − 1 additions in any order, each rounded, of partial sums of at most
    /// Σ_j |row_j|.
    /// </summary>
    /// <param name="rows">What was added [rows, D].</param>
    /// <remarks>dX = dY.</remarks>
    internal static Tensor WidenByRoundedAdditions(this Tape tape, Tensor x, Tensor rows, PlanHandle handle, NumberFormat format)
    {
        if (!Widens(tape, format) || handle.Choices == 1) return x;
        var plan = handle.Host;
        var width = x.Columns;
        double[] added = new double[rows.Value.Count], magnitudes = new double[x.Value.Count];
        tape.Backend.Read(rows.Value, added);
        for (var i = 0; i < plan.RowOf.Length; i++)
            for (var c = 0; c < width && plan.RowOf[i] >= 0; c++) magnitudes[i / plan.Choices * width + c] += Math.Abs(added[plan.RowOf[i] * width + c]);
        return Widened(tape, x, Array.ConvertAll(magnitudes, m => m == 0 ? 0 : (plan.Choices - 1) * Rounding.HalfUnit(format, m)));
    }

    /// <summary>Y = X, rounded on the way where an engine makes ops of their own of what is one here: a product and its bias.</summary>
    /// <remarks>dX = dY.</remarks>
    internal static Tensor WidenByRounding(this Tape tape, Tensor x, NumberFormat format)
    {
        if (!Widens(tape, format)) return x;
        double[] values = new double[x.Value.Count], errors = new double[values.Length];
        tape.Backend.Read(x.Value, values);
        ((IErrorBounds)tape.Backend).ReadErrors(x.Value, errors);
        return Widened(tape, x, [.. values.Zip(errors, Lost)]);

        double Lost(double value, double error) =>
            !double.IsFinite(value) || !double.IsFinite(error) || (error == 0 && Rounding.To(format, value) == value) ? 0
                : Rounding.HalfUnit(format, Math.Abs(value) + error);
    }

    /// <summary>
    /// Y = X, X rows times a column of the same format. An engine that multiplies by a column makes its gradient of products of their own, which it rounds
    /// before it adds them up.
    /// </summary>
    /// <remarks>dX = dY, ds_r = 0 ± Σ_c half a unit of dY_rc·row_rc.</remarks>
    internal static Tensor WidenByRoundedProducts(this Tape tape, Tensor x, Tensor rows, Tensor column, NumberFormat format)
    {
        if (!Widens(tape, format) || !column.RequiresGradient) return x;
        return tape.Apply(nameof(WidenByRoundedProducts), x.Rows, x.Columns, [x, column],
            y => tape.Backend.Copy(x.Value, y.Value),
            y =>
            {
                tape.Pass(y.Gradient, x);
                double[] into = new double[x.Value.Count], factors = new double[into.Length], errors = new double[x.Rows];
                tape.Backend.Read(y.Gradient, into);
                tape.Backend.Read(rows.Value, factors);
                for (var i = 0; i < into.Length; i++)
                    if (into[i] * factors[i] is not 0 and var product && double.IsFinite(product))
                        errors[i / x.Columns] += Rounding.HalfUnit(format, Math.Abs(product));
                var nothing = tape.Rent(x.Rows, 1);
                ((IErrorBounds)tape.Backend).WriteErrors(nothing, new double[x.Rows], errors);
                tape.Pass(nothing, column);
            });
    }

    /// <summary>
    /// Y = X, X = ln Σ_e e^{l_e} as ops of their own make it: l − m, exponentials, their sum and its logarithm rounded, m the largest logit
    /// (JAX's logsumexp). With h a rounding's relative error, δ_e = half a unit of l_e − m: Σ_e p_e·δ_e + 2h and half a unit of the logarithm.
    /// </summary>
    /// <remarks>dX = dY.</remarks>
    internal static Tensor WidenByComposedLogSumExp(this Tape tape, Tensor x, Tensor logits, NumberFormat format)
    {
        if (!Widens(tape, format)) return x;
        var errors = new double[x.Rows];
        ForEachRow(tape, logits, format, (row, _, _, inExponents, logarithm) =>
            errors[row] = inExponents + 2 * Rounding.HalfUnit(format, 1) + Rounding.HalfUnit(format, logarithm));
        return Widened(tape, x, errors);
    }

    /// <summary>
    /// Y = X, X = softmax(l) as ops of their own make it: exponentials and their sum rounded before the division: p_e·(δ_e + Σ p·δ + 2h), as above.
    /// </summary>
    /// <remarks>dX = dY.</remarks>
    internal static Tensor WidenByComposedSoftmax(this Tape tape, Tensor x, Tensor logits, NumberFormat format)
    {
        if (!Widens(tape, format)) return x;
        var errors = new double[x.Value.Count];
        ForEachRow(tape, logits, format, (row, p, own, inExponents, _) =>
        {
            for (var e = 0; e < p.Length; e++) errors[row * p.Length + e] = p[e] * (own[e] + inExponents + 2 * Rounding.HalfUnit(format, 1));
        });
        return Widened(tape, x, errors);
    }

    /// <summary>Of every row of logits: p, δ, Σ p·δ, and ln Σ e^{l − m}.</summary>
    static void ForEachRow(Tape tape, Tensor logits, NumberFormat format, Action<int, double[], double[], double, double> use)
    {
        var values = new double[logits.Value.Count];
        tape.Backend.Read(logits.Value, values);
        for (var row = 0; row < logits.Rows; row++)
        {
            var l = values.AsSpan(row * logits.Columns, logits.Columns).ToArray();
            var largest = l.Max();
            double[] p = Array.ConvertAll(l, v => Math.Exp(v - largest));
            double[] own = Array.ConvertAll(l, v => v == largest ? 0 : Rounding.HalfUnit(format, largest - v));
            var sum = p.Sum();
            double inExponents = 0;
            for (var e = 0; e < p.Length; e++)
            {
                p[e] /= sum;
                if (p[e] > 0) inExponents += p[e] * own[e];
            }
            use(row, p, own, inExponents, Math.Log(sum));
        }
    }

    static bool Widens(Tape tape, NumberFormat format) =>
        format is NumberFormat.BFloat16 or NumberFormat.Float16
        && tape.Backend is IErrorBounds { CarriesBounds: true };

    static Tensor Widened(Tape tape, Tensor x, double[] errors)
    {
        var nothing = tape.Rent(x.Rows, x.Columns);
        ((IErrorBounds)tape.Backend).WriteErrors(nothing, new double[errors.Length], errors);
        return tape.Add(x, tape.Constant(nothing));
    }
}
