namespace SparseExperts.Profiling;

/// <summary>The ops of the contract, counted one by one: none may go past (ProfilingTests holds this file to the contract).</summary>
public sealed partial class CountingBackend
{
    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b), c, accumulate);
        inner.Gemm(a, transposeA, b, transposeB, c, accumulate);
    }

    public void GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c)
    {
        using var call = Begin(Bytes(start) + Bytes(a) + Bytes(b), c);
        inner.GemmAdd(start, a, b, c);
    }

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b) + Bytes(offsets), c, accumulate);
        inner.GemmGrouped(a, b, transposeB, c, offsets, accumulate);
    }

    public void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b), c, accumulate);
        inner.GemmOuter(a, b, c, sequence, accumulate);
    }

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(c) + Bytes(offsets), b, accumulate);
        inner.GemmGroupedOuter(a, c, b, offsets, accumulate);
    }

    public void LinearBackward(Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dw, bool accumulateW)
    {
        var added = (accumulateX ? Bytes(dx) : 0) + (accumulateW ? Bytes(dw) : 0);
        using var call = Begin(Bytes(x) + Bytes(w) + 2 * Bytes(dy) + added, Bytes(dx) + Bytes(dw), dw);
        inner.LinearBackward(x, w, transposeW, dy, sequence, dx, accumulateX, dw, accumulateW);
    }

    public void GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB)
    {
        var added = (accumulateA ? Bytes(da) : 0) + (accumulateB ? Bytes(db) : 0);
        using var call = Begin(Bytes(a) + Bytes(b) + 2 * Bytes(dc) + 2 * Bytes(offsets) + added, Bytes(da) + Bytes(db), db);
        inner.GemmGroupedBackward(a, b, dc, offsets, da, accumulateA, db, accumulateB);
    }

    public void Add(Matrix a, Matrix b, Matrix c)
    {
        using var call = Begin(Bytes(a) + Bytes(b), c);
        inner.Add(a, b, c);
    }

    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b), c, accumulate);
        inner.Multiply(a, b, c, accumulate);
    }

    public void Scale(Matrix a, double factor, Matrix c, bool accumulate)
    {
        using var call = Begin(Bytes(a), c, accumulate);
        inner.Scale(a, factor, c, accumulate);
    }

    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b), c, accumulate);
        inner.Divide(a, b, c, accumulate);
    }

    public void Clamp(Matrix x, double low, double high, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.Clamp(x, low, high, y);
    }

    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(dy), dx, accumulate);
        inner.ClampBackward(x, low, high, dy, dx, accumulate);
    }

    public void Round(NumberFormat format, Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.Round(format, x, y);
    }

    public void Cast(Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.Cast(x, y);
    }

    public void Activate(Activation kind, Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.Activate(kind, x, y);
    }

    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(dy), dx, accumulate);
        inner.ActivateBackward(kind, x, dy, dx, accumulate);
    }

    public void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y)
    {
        using var call = Begin(Bytes(gate) + Bytes(linear), y);
        inner.Gated(kind, gate, linear, y);
    }

    public void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear,
        bool accumulateLinear)
    {
        using var call = Begin(Bytes(gate) + Bytes(linear) + Bytes(dy) + (accumulateGate ? Bytes(dGate) : 0)
            + (accumulateLinear ? Bytes(dLinear) : 0), Bytes(dGate) + Bytes(dLinear), dLinear);
        inner.GatedBackward(kind, gate, linear, dy, dGate, accumulateGate, dLinear, accumulateLinear);
    }

    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(rows), y, accumulate);
        inner.Dropout(x, rate, words, rows, y, accumulate);
    }

    public void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(cosines) + Bytes(sines), y, accumulate);
        inner.Rotary(x, cosines, sines, headWidth, inverse, y, accumulate);
    }

    public void Softmax(Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.Softmax(x, y);
    }

    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(y) + Bytes(dy), dx, accumulate);
        inner.SoftmaxBackward(y, dy, dx, accumulate);
    }

    public void LogSoftmax(Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.LogSoftmax(x, y);
    }

    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(y) + Bytes(dy), dx, accumulate);
        inner.LogSoftmaxBackward(y, dy, dx, accumulate);
    }

    public void LogSumExp(Matrix x, Matrix y)
    {
        using var call = Begin(Bytes(x), y);
        inner.LogSumExp(x, y);
    }

    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(y) + Bytes(dy), dx, accumulate);
        inner.LogSumExpBackward(x, y, dy, dx, accumulate);
    }

    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale)
    {
        using var call = Begin(Bytes(x) + Bytes(weight), Bytes(y) + Bytes(scale), scale);
        inner.RmsNorm(x, weight, epsilon, y, scale);
    }

    public void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, bool accumulateWeight)
    {
        using var call = Begin(Bytes(x) + Bytes(weight) + Bytes(scale) + Bytes(dy) + (accumulateX ? Bytes(dx) : 0)
            + (accumulateWeight ? Bytes(dWeight) : 0), Bytes(dx) + Bytes(dWeight), dWeight);
        inner.RmsNormBackward(x, weight, scale, dy, sequence, dx, accumulateX, dWeight, accumulateWeight);
    }

    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics)
    {
        using var call = Begin(Bytes(x) + Bytes(weight) + Bytes(bias), Bytes(y) + Bytes(statistics), statistics);
        inner.LayerNorm(x, weight, bias, epsilon, y, statistics);
    }

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters)
    {
        using var call = Begin(Bytes(x) + Bytes(weight) + Bytes(statistics) + Bytes(dy) + (accumulateX ? Bytes(dx) : 0)
            + (accumulateParameters ? 2 * Bytes(dWeight) : 0), Bytes(dx) + Bytes(dWeight) + Bytes(dBias), dBias);
        inner.LayerNormBackward(x, weight, statistics, dy, sequence, dx, accumulateX, dWeight, dBias, accumulateParameters);
    }

    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums)
    {
        using var call = Begin(Bytes(logits) + Bytes(labels), Bytes(losses) + Bytes(logSums), logSums);
        inner.CrossEntropy(logits, labels, smoothing, losses, logSums);
    }

    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate)
    {
        using var call = Begin(Bytes(logits) + Bytes(labels) + Bytes(logSums) + Bytes(dLosses), dLogits, accumulate);
        inner.CrossEntropyBackward(logits, labels, smoothing, logSums, dLosses, dLogits, accumulate);
    }

    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate)
    {
        using var call = Begin(Bytes(x), y, accumulate);
        inner.SumColumns(x, y, sequence, accumulate);
    }

    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate)
    {
        using var call = Begin(Bytes(x) + Bytes(s), y, accumulate);
        inner.ScaleRows(x, s, y, accumulate);
    }

    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate)
    {
        using var call = Begin(Bytes(a) + Bytes(b), y, accumulate);
        inner.RowDots(a, b, y, accumulate);
    }

    public void RunSquares(Matrix x, Indices offsets, Matrix y)
    {
        using var call = Begin(Bytes(x) + Bytes(offsets), y, false);
        inner.RunSquares(x, offsets, y);
    }

    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => inner.AttentionSaved(shape);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        using var call = Begin(Bytes(q) + Bytes(k) + Bytes(v) + Bytes(terms), Bytes(saved) + Bytes(y), y);
        inner.Attention(shape, q, k, v, terms, saved, y);
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool addQ, Matrix dk, bool addK, Matrix dv, bool addV, Matrix? dBias, Matrix? dSinks)
    {
        var written = Bytes(dq) + Bytes(dk) + Bytes(dv) + Bytes(dBias) + Bytes(dSinks);
        var added = (addQ ? Bytes(dq) : 0) + (addK ? Bytes(dk) : 0) + (addV ? Bytes(dv) : 0) + Bytes(dBias);
        using var call = Begin(Bytes(q) + Bytes(k) + Bytes(v) + Bytes(terms) + Bytes(saved) + Bytes(y) + Bytes(dy) + added, written, dv);
        inner.AttentionBackward(shape, q, k, v, terms, saved, y, dy, dq, addQ, dk, addK, dv, addV, dBias, dSinks);
    }

    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate)
    {
        using var call = Begin(Bytes(y) + Bytes(rows), y, accumulate);
        inner.GatherRows(x, rows, y, accumulate);
    }

    public void ScatterAddRows(Matrix x, Indices rows, Matrix y)
    {
        using var call = Begin(2 * Bytes(x) + Bytes(rows), Bytes(x), y);
        inner.ScatterAddRows(x, rows, y);
    }

    public void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence)
    {
        using var call = Begin(2 * Bytes(x) + Bytes(rows), Bytes(x), y);
        inner.ScatterAddTokens(x, rows, y, sequence);
    }

    public void GatherColumns(Matrix x, Indices columns, Matrix y)
    {
        using var call = Begin(Bytes(y) + Bytes(columns), y);
        inner.GatherColumns(x, columns, y);
    }

    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y)
    {
        using var call = Begin(2 * Bytes(x) + Bytes(columns), Bytes(x), y);
        inner.ScatterAddColumns(x, columns, y);
    }

    public void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
    {
        using var call = Begin(Bytes(squares) + Bytes(loss) + Bytes(before), Bytes(y), y);
        inner.StepFactor(squares, loss, clip, before, y);
    }

    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        using var call = Begin(4 * Bytes(parameter), 3 * Bytes(parameter), second);
        inner.AdamW(parameter, gradient, first, second, factor, step);
    }

    public void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        var state = Bytes(rows) + Bytes(columns) + Bytes(momentum);
        using var call = Begin(2 * Bytes(parameter) + state, Bytes(parameter) + state, parameter);
        inner.Adafactor(parameter, gradient, rows, columns, momentum, factor, step);
    }

    public void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        var state = Bytes(second) + Bytes(momentum);
        using var call = Begin(2 * Bytes(parameter) + state, Bytes(parameter) + state, parameter);
        inner.AdafactorUnfactored(parameter, gradient, second, momentum, factor, step);
    }
}
