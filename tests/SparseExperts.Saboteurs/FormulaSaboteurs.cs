namespace SparseExperts.Saboteurs;

public sealed class SoftmaxWithoutItsMaximum(IBackend inner) : Saboteur(inner)
{
    public override void Softmax(Matrix x, Matrix y)
    {
        base.Softmax(x, y);
        var t = Look(x);
        for (var r = 0; r < t.Rows; r++)
        {
            var sum = 0.0;
            for (var j = 0; j < t.Columns; j++) sum = Round(sum + (t[r, j] = Round(Math.Exp(t[r, j]))));
            for (var j = 0; j < t.Columns; j++) t[r, j] = Round(t[r, j] / sum);
        }
        Put(y, t);
    }
}

/// <summary>Forward with erf, backward with the tanh approximation.</summary>
public sealed class SlopeOfAnotherGelu(IBackend inner) : Saboteur(inner)
{
    public override void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate) =>
        base.ActivateBackward(kind == Activation.GeluErf ? Activation.GeluTanh : kind, x, dy, dx, accumulate);
}

/// <summary>The mean of the two one-sided slopes at the kink, where the contract says 0.</summary>
public sealed class HalfASlopeAtZero(IBackend inner) : Saboteur(inner)
{
    public override void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate)
    {
        base.ActivateBackward(kind, x, dy, dx, accumulate);
        if (kind != Activation.Relu || accumulate) return;
        Table values = Look(x), slopes = Look(dy), result = Look(dx);
        for (var i = 0; i < values.Values.Length; i++)
            if (values.Values[i] == 0) result.Values[i] = slopes.Values[i] / 2;
        Put(dx, result);
    }
}

/// <summary>The sample's variance, over n − 1.</summary>
public sealed class VarianceOverNMinusOne(IBackend inner) : Saboteur(inner)
{
    public override void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics)
    {
        base.LayerNorm(x, weight, bias, epsilon, y, statistics);
        Table t = Look(x), w = Look(weight), b = Look(bias), s = Look(statistics);
        for (var r = 0; r < t.Rows; r++)
        {
            var sum = 0.0;
            for (var j = 0; j < t.Columns; j++) sum += (t[r, j] - s[r, 0]) * (t[r, j] - s[r, 0]);
            s[r, 1] = Round(1 / Math.Sqrt(sum / Math.Max(1, t.Columns - 1) + epsilon));
            for (var j = 0; j < t.Columns; j++) t[r, j] = Round((t[r, j] - s[r, 0]) * s[r, 1] * w[0, j] + b[0, j]);
        }
        Put(y, t);
        Put(statistics, s);
    }
}

public sealed class RmsNormWithoutEpsilon(IBackend inner) : Saboteur(inner)
{
    public override void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale) => base.RmsNorm(x, weight, 0, y, scale);
}

/// <summary>Label −100 is read as class 0.</summary>
public sealed class IgnoredLabelsCount(IBackend inner) : Saboteur(inner)
{
    public override void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        if (logits.Columns == 0) { base.CrossEntropy(logits, labels, smoothing, losses, logSums); return; }
        var counted = Inner.Upload([.. Look(labels).Select(label => label == -100 ? 0 : label)]);
        base.CrossEntropy(logits, counted, smoothing, losses, logSums);
        Inner.Return(counted.Storage);
    }
}

/// <summary>Smoothing spread over the n − 1 wrong classes, the other convention.</summary>
public sealed class SmoothingOverTheOtherClasses(IBackend inner) : Saboteur(inner)
{
    public override void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums) =>
        base.CrossEntropy(logits, labels, Math.Min(0.99, smoothing * logits.Columns / Math.Max(1, logits.Columns - 1)), losses, logSums);
}

/// <summary>Each query sees the next key too.</summary>
public sealed class CausalMaskOffByOne(IBackend inner) : Saboteur(inner)
{
    public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        if (!shape.Causal) { base.Attention(shape, q, k, v, terms, saved, y); return; }
        var mask = Inner.Rent(shape.Heads * shape.Queries, shape.Keys);
        var values = terms.Bias is { } given ? Look(given) : new Table(new double[mask.Count], mask.Rows, mask.Columns);
        for (var row = 0; row < values.Rows; row++)
            for (var key = shape.Visible(row % shape.Queries) + 1; key < shape.Keys; key++) values[row, key] = double.NegativeInfinity;
        Put(mask, values);
        base.Attention(shape with { Causal = false }, q, k, v, terms with { Bias = mask }, saved, y);
        Inner.Return(mask.Storage);
    }
}

/// <summary>The scale multiplies dS and then the products again.</summary>
public sealed class ScaleAppliedTwiceInTheBackward(IBackend inner) : Saboteur(inner)
{
    public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks) =>
        base.AttentionBackward(shape with { Scale = shape.Scale * shape.Scale }, q, k, v, terms, saved, y, dy,
            dq, accumulateQ, dk, accumulateK, dv, accumulateV, dBias, dSinks);
}

/// <summary>Causal queries stand at the start of the keys instead of at their end.</summary>
public sealed class CausalWithoutOffset(IBackend inner) : Saboteur(inner)
{
    public override void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        if (!shape.Causal) { base.Attention(shape, q, k, v, terms, saved, y); return; }
        var mask = Inner.Rent(shape.Heads * shape.Queries, shape.Keys);
        var values = terms.Bias is { } given ? Look(given) : new Table(new double[mask.Count], mask.Rows, mask.Columns);
        for (var row = 0; row < values.Rows; row++)
            for (var key = row % shape.Queries + 1; key < shape.Keys; key++) values[row, key] = double.NegativeInfinity;
        Put(mask, values);
        base.Attention(shape with { Causal = false }, q, k, v, terms with { Bias = mask }, saved, y);
        Inner.Return(mask.Storage);
    }
}

/// <summary>One flag for dQ, dK and dV: that of dQ.</summary>
public sealed class OneFlagForThreeGradients(IBackend inner) : Saboteur(inner)
{
    public override void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks) =>
        base.AttentionBackward(shape, q, k, v, terms, saved, y, dy, dq, accumulateQ, dk, accumulateQ, dv, accumulateQ, dBias, dSinks);
}

/// <summary>Drops, but does not make up for what it dropped.</summary>
public sealed class DropoutWithoutItsFactor(IBackend inner) : Saboteur(inner)
{
    public override void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
    {
        var before = Look(y);
        base.Dropout(x, rate, words, rows, y, false);
        var t = Look(y);
        for (var i = 0; i < t.Values.Length; i++) t.Values[i] = Round(t.Values[i] * (1 - rate)) + (accumulate ? before.Values[i] : 0);
        Put(y, t);
    }
}

/// <summary>Pairs (2i, 2i + 1), the layout of the paper, where the contract says (i, i + d/2).</summary>
public sealed class RotaryOfNeighbours(IBackend inner) : Saboteur(inner)
{
    public override void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        base.Rotary(x, cosines, sines, headWidth, inverse, y, accumulate);
        Table t = Look(x), cos = Look(cosines), sin = Look(sines), result = Look(x);
        for (var r = 0; r < t.Rows; r++)
            for (var j = 0; j < t.Columns; j += 2)
            {
                double c = cos[r % cos.Rows, j % headWidth / 2], s = sin[r % cos.Rows, j % headWidth / 2] * (inverse ? -1 : 1);
                result[r, j] = Round(t[r, j] * c - t[r, j + 1] * s);
                result[r, j + 1] = Round(t[r, j + 1] * c + t[r, j] * s);
            }
        if (!accumulate) Put(y, result);
    }
}

/// <summary>Adam with weight decay inside the gradient (L2), which AdamW exists to avoid.</summary>
public sealed class DecayInsideTheGradient(IBackend inner) : Saboteur(inner)
{
    public override void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        if (step.WeightDecay == 0 || parameter.Count == 0) { base.AdamW(parameter, gradient, first, second, factor, step); return; }
        var coupled = Inner.Rent(parameter.Rows, parameter.Columns);
        Inner.Copy(gradient, coupled);
        Inner.Scale(parameter, step.WeightDecay, coupled, accumulate: true);
        base.AdamW(parameter, coupled, first, second, factor, step with { WeightDecay = 0 });
        Inner.Return(coupled.Storage);
    }
}

/// <summary>A norm of the gradient that forgets the squares behind the first 256.</summary>
public sealed class NormOfTheFirstLanes(IBackend inner) : Saboteur(inner)
{
    public override void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y) =>
        base.StepFactor(squares.RowRange(0, Math.Min(squares.Rows, 256)), loss, clip, before, y);
}

/// <summary>A step that counts although the one before it was left out.</summary>
public sealed class StepsThatForgetTheOneBefore(IBackend inner) : Saboteur(inner)
{
    public override void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
    {
        var one = Inner.Rent(1, 1);
        Inner.Fill(one, 1);
        base.StepFactor(squares, loss, clip, one, y);
        Inner.Return(one.Storage);
    }
}

/// <summary>AdamW that takes a step that is left out for one whose gradient is not clipped.</summary>
public sealed class StepsThatAreNeverLeftOut(IBackend inner) : Saboteur(inner)
{
    public override void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        var one = Inner.Rent(1, 1);
        if (float.IsFinite(Inner.ToArray(factor)[0])) Inner.Copy(factor, one);
        else Inner.Fill(one, 1);
        base.AdamW(parameter, gradient, first, second, one, step);
        Inner.Return(one.Storage);
    }
}

/// <summary>Adafactor whose updates are not clipped by their root mean square.</summary>
public sealed class UpdatesThatAreNotClipped(IBackend inner) : Saboteur(inner)
{
    public override void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        base.Adafactor(parameter, gradient, rows, columns, momentum, factor, step with { ClipThreshold = float.MaxValue });
}

/// <summary>Adafactor that factors a stack of matrices as if it were one.</summary>
public sealed class AStackIsOneMatrix(IBackend inner) : Saboteur(inner)
{
    public override void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        base.Adafactor(parameter, gradient, rows, columns.RowRange(0, 1), momentum, factor, step);
}

/// <summary>Adafactor without factors that scales its rate by the norm of the parameter in place of its root mean square.</summary>
public sealed class RateScaledByTheNorm(IBackend inner) : Saboteur(inner)
{
    public override void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        base.AdafactorUnfactored(parameter, gradient, second, momentum, factor,
            step.LeastScale is null ? step : step with { Rate = step.Rate * Math.Sqrt(parameter.Count) });
}
