using SparseExperts.Autograd;
using SparseExperts.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Models.Hub;

/// <summary>Rotary positions on rows of heads: y = x∘cos + partner(x)∘(±sin), with cos 1 and sin 0 for columns that stay.</summary>
static class Rotation
{
    /// <param name="x">Rows of heads [count, width].</param>
    public static Tensor Apply(Tape tape, AttentionForm form, HubRotary rotary, HeadLayout layout, HubInputs inputs, Tensor x, NumberFormat format)
    {
        var turning = new Turning(rotary, form.RotaryFirst);
        var (cosines, sines) = turning.Tables(tape, layout, inputs, x.Columns);
        var rounded = tape.In(form.RotaryInFloat32 ? NumberFormat.Float32 : format);
        var partners = tape.GatherElements(x, turning.Partners(x.Rows, x.Columns), x.Rows, x.Columns, 0);
        var turned = rounded.Add(rounded.Multiply(x, rounded.Round(cosines)), rounded.Multiply(partners, rounded.Round(sines)));
        return form.RotaryInFloat32 ? tape.Round(turned, format) : turned;
    }

    /// <param name="First">Column of a head from which on it turns.</param>
    readonly record struct Turning(HubRotary Rotary, int First)
    {
        /// <summary>The columns of pair i.</summary>
        (int A, int B) Pair(int i) => Rotary.Interleaved ? (First + 2 * i, First + 2 * i + 1) : (First + i, First + i + Rotary.Width / 2);

        /// <summary>For each number the one that it turns with.</summary>
        public int[] Partners(int rows, int columns)
        {
            int[] of = [.. Enumerable.Range(0, columns)];
            for (var i = 0; i < Rotary.Width / 2; i++)
            {
                var (a, b) = Pair(i);
                (of[a], of[b]) = (b, a);
            }
            return [.. Enumerable.Range(0, rows * columns).Select(i => i / columns * columns + of[i % columns])];
        }

        /// <summary>Computed in double; where bounds are carried, with what float32 loses on the way to them.</summary>
        public (Tensor Cosines, Tensor Sines) Tables(Tape tape, HeadLayout layout, HubInputs inputs, int columns)
        {
            var frequencies = RotaryFrequencies.Of(Rotary, inputs.Keys);
            var (count, factor) = (layout.Count * columns, Rotary.AttentionFactor);
            double[] cos = new double[count], sin = new double[count], cosErrors = new double[count], sinErrors = new double[count];
            Array.Fill(cos, 1);
            for (var r = 0; r < layout.Count; r++)
            {
                var position = inputs.Position(layout.Token(r) / layout.Length, layout.Token(r) % layout.Length);
                for (var i = 0; i < frequencies.Length; i++)
                {
                    if (frequencies[i] == 0) continue;
                    var angle = position * frequencies[i];
                    var (s, c) = ReproducibleMath.SinCos(angle);
                    var (a, b) = Pair(i);
                    var off = Math.Abs(factor * angle) * RotaryFrequencies.AngleError(Rotary, i);
                    foreach (var (at, sign) in ((int, int)[])[(r * columns + a, -1), (r * columns + b, 1)])
                    {
                        (cos[at], sin[at]) = (c * factor, sign * s * factor);
                        if (angle == 0 && factor == 1) continue;
                        (cosErrors[at], sinErrors[at]) = (off + 3 * Unit * Math.Abs(cos[at]), off + 3 * Unit * Math.Abs(sin[at]));
                    }
                }
            }
            Tensor Written(double[] values, double[] errors) => tape.Constant(HeadRotation.Written(tape, layout.Count, columns, values, errors));
            return (Written(cos, cosErrors), Written(sin, sinErrors));
        }
    }

    /// <summary>A function has two of them, the factor on it one.</summary>
    const double Unit = 1.0 / 16777216;
}
