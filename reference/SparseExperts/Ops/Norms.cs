using SparseExperts.Autograd;

namespace SparseExperts.Ops;

public static partial class Op
{
    /// <summary>y = (x − μ)/√(σ² + ε) ∘ w + b, per row (Ba, Kiros, Hinton 2016, eq. 4). W, B are [1, columns].</summary>
    /// <remarks>With x̂ = (x − μ)·r and g = dy ∘ w: dx = r·(g − mean g − x̂·mean(g ∘ x̂)), dw = Σ_rows dy ∘ x̂, db = Σ_rows dy.</remarks>
    public static Tensor LayerNorm(this Tape tape, Tensor x, Tensor weight, Tensor bias, double epsilon) =>
        tape.Apply(nameof(LayerNorm), x.Rows, x.Columns, [x, weight, bias],
        y => tape.Backend.LayerNorm(x.Value, weight.Value, bias.Value, epsilon, y.Value, y.Save(x.Rows, 2)),
        y =>
        {
            var dx = x.GradientTarget(out var add);
            // One parameter for both has one gradient, to which two sums are added in turn.
            if (!ReferenceEquals(weight, bias) && tape.SumsAtOnce(x.Sequence, weight, bias))
            {
                Matrix slopes = weight.GradientTarget(out var addTo), offsets = bias.GradientTarget(out _);
                tape.Backend.LayerNormBackward(x.Value, weight.Value, y.Saved[0], y.Gradient, x.Sequence, dx, add, slopes, offsets, addTo);
                return;
            }
            Matrix dw = tape.Rent(1, x.Columns), db = tape.Rent(1, x.Columns);
            tape.Backend.LayerNormBackward(x.Value, weight.Value, y.Saved[0], y.Gradient, x.Sequence, dx, add, dw, db, false);
            tape.AddOverTokens(dw, weight, x.Sequence);
            tape.AddOverTokens(db, bias, x.Sequence);
        });

    /// <summary>y = x/√(mean x² + ε) ∘ w, per row (Zhang &amp; Sennrich 2019, eq. 4); T5's norm. W is [1, columns].</summary>
    /// <remarks>With x̂ = x·r and g = dy ∘ w: dx = r·(g − x̂·mean(g ∘ x̂)), dw = Σ_rows dy ∘ x̂.</remarks>
    public static Tensor RmsNorm(this Tape tape, Tensor x, Tensor weight, double epsilon) => tape.Apply(nameof(RmsNorm), x.Rows, x.Columns, [x, weight],
        y => tape.Backend.RmsNorm(x.Value, weight.Value, epsilon, y.Value, y.Save(x.Rows, 1)),
        y =>
        {
            var dx = x.GradientTarget(out var add);
            if (tape.SumsAtOnce(x.Sequence, weight))
            {
                var slopes = weight.GradientTarget(out var addTo);
                tape.Backend.RmsNormBackward(x.Value, weight.Value, y.Saved[0], y.Gradient, x.Sequence, dx, add, slopes, addTo);
                return;
            }
            var dw = tape.Rent(1, x.Columns);
            tape.Backend.RmsNormBackward(x.Value, weight.Value, y.Saved[0], y.Gradient, x.Sequence, dx, add, dw, false);
            tape.AddOverTokens(dw, weight, x.Sequence);
        });
}
