namespace SparseExperts.Conformance;

/// <summary>A backend that hands every call to another one. Subclasses change single ops, to watch them or to break them.</summary>
public abstract class DelegatingBackend(IBackend inner) : IBackend
{
    protected IBackend Inner => inner;

    public virtual BackendInfo Info => inner.Info;
    public virtual Storage Rent(ElementType type, long length) => inner.Rent(type, length);
    public virtual void Return(Storage storage) => inner.Return(storage);
    public virtual void Write(Storage to, long offset, ReadOnlySpan<float> values) => inner.Write(to, offset, values);
    public virtual void Write(Storage to, long offset, ReadOnlySpan<double> values) => inner.Write(to, offset, values);
    public virtual void Write(Storage to, long offset, ReadOnlySpan<int> values) => inner.Write(to, offset, values);
    public virtual void Read(Storage from, long offset, Span<float> values) => inner.Read(from, offset, values);
    public virtual void Read(Storage from, long offset, Span<double> values) => inner.Read(from, offset, values);
    public virtual void Read(Storage from, long offset, Span<int> values) => inner.Read(from, offset, values);
    public virtual IDisposable Exactly() => inner.Exactly();
    public virtual IDisposable Repeated() => inner.Repeated();
    public virtual IRouting? Routing => inner.Routing;
    public virtual IndexFault? TakeFault() => inner.TakeFault();
    public virtual void Fill(Matrix matrix, double value) => inner.Fill(matrix, value);
    public virtual void Copy(Matrix from, Matrix to) => inner.Copy(from, to);

    public virtual void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) =>
        inner.Gemm(a, transposeA, b, transposeB, c, accumulate);

    public virtual void GemmAdd(Matrix start, Matrix a, Matrix b, Matrix c) => inner.GemmAdd(start, a, b, c);

    public virtual void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate) =>
        inner.GemmGrouped(a, b, transposeB, c, offsets, accumulate);

    public virtual void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate) => inner.GemmOuter(a, b, c, sequence, accumulate);

    public virtual void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate) =>
        inner.GemmGroupedOuter(a, c, b, offsets, accumulate);

    public virtual void LinearBackward(
        Matrix x, Matrix w, bool transposeW, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dw, bool accumulateW) =>
        inner.LinearBackward(x, w, transposeW, dy, sequence, dx, accumulateX, dw, accumulateW);

    public virtual void GemmGroupedBackward(Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix da, bool accumulateA, Matrix db, bool accumulateB) =>
        inner.GemmGroupedBackward(a, b, dc, offsets, da, accumulateA, db, accumulateB);

    public virtual void GemmGroupedActivate(Matrix a, Matrix b, Indices offsets, Activation kind, Matrix c, Matrix y) =>
        inner.GemmGroupedActivate(a, b, offsets, kind, c, y);

    public virtual void GemmGroupedActivateBackward(
        Activation kind, Matrix x, Matrix a, Matrix b, Matrix dc, Indices offsets, Matrix dx, Matrix db, bool accumulateB) =>
        inner.GemmGroupedActivateBackward(kind, x, a, b, dc, offsets, dx, db, accumulateB);

    public virtual void Add(Matrix a, Matrix b, Matrix c) => inner.Add(a, b, c);
    public virtual void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate) => inner.Multiply(a, b, c, accumulate);
    public virtual void Scale(Matrix a, double factor, Matrix c, bool accumulate) => inner.Scale(a, factor, c, accumulate);
    public virtual void Divide(Matrix a, Matrix b, Matrix c, bool accumulate) => inner.Divide(a, b, c, accumulate);
    public virtual void Clamp(Matrix x, double low, double high, Matrix y) => inner.Clamp(x, low, high, y);
    public virtual void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate) =>
        inner.ClampBackward(x, low, high, dy, dx, accumulate);
    public virtual void Round(NumberFormat format, Matrix x, Matrix y) => inner.Round(format, x, y);
    public virtual void Cast(Matrix x, Matrix y) => inner.Cast(x, y);
    public virtual void Activate(Activation kind, Matrix x, Matrix y) => inner.Activate(kind, x, y);
    public virtual void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate) =>
        inner.ActivateBackward(kind, x, dy, dx, accumulate);
    public virtual void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y) => inner.Gated(kind, gate, linear, y);

    public virtual void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy,
        Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear) =>
        inner.GatedBackward(kind, gate, linear, dy, dGate, accumulateGate, dLinear, accumulateLinear);

    public virtual void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate) =>
        inner.Dropout(x, rate, words, rows, y, accumulate);

    public virtual void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate) =>
        inner.Rotary(x, cosines, sines, headWidth, inverse, y, accumulate);

    public virtual void Softmax(Matrix x, Matrix y) => inner.Softmax(x, y);
    public virtual void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => inner.SoftmaxBackward(y, dy, dx, accumulate);
    public virtual void LogSoftmax(Matrix x, Matrix y) => inner.LogSoftmax(x, y);
    public virtual void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => inner.LogSoftmaxBackward(y, dy, dx, accumulate);
    public virtual void LogSumExp(Matrix x, Matrix y) => inner.LogSumExp(x, y);
    public virtual void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate) => inner.LogSumExpBackward(x, y, dy, dx, accumulate);
    public virtual void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale) => inner.RmsNorm(x, weight, epsilon, y, scale);

    public virtual void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, bool accumulateWeight) =>
        inner.RmsNormBackward(x, weight, scale, dy, sequence, dx, accumulateX, dWeight, accumulateWeight);

    public virtual void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics) =>
        inner.LayerNorm(x, weight, bias, epsilon, y, statistics);

    public virtual void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters) =>
        inner.LayerNormBackward(x, weight, statistics, dy, sequence, dx, accumulateX, dWeight, dBias, accumulateParameters);

    public virtual void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums) =>
        inner.CrossEntropy(logits, labels, smoothing, losses, logSums);

    public virtual void CrossEntropyBackward(
        Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate) =>
        inner.CrossEntropyBackward(logits, labels, smoothing, logSums, dLosses, dLogits, accumulate);

    public virtual void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate) => inner.SumColumns(x, y, sequence, accumulate);
    public virtual void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate) => inner.ScaleRows(x, s, y, accumulate);
    public virtual void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate) => inner.RowDots(a, b, y, accumulate);
    public virtual void RunSquares(Matrix x, Indices offsets, Matrix y) => inner.RunSquares(x, offsets, y);

    public virtual void SumSquares(Matrix x, double factor, int sequence, Matrix y) => inner.SumSquares(x, factor, sequence, y);
    public virtual void SumSquaresBackward(Matrix x, double factor, Matrix dy, Matrix dx, bool accumulate) =>
        inner.SumSquaresBackward(x, factor, dy, dx, accumulate);

    public virtual (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => inner.AttentionSaved(shape);

    public virtual void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y) =>
        inner.Attention(shape, q, k, v, terms, saved, y);

    public virtual void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks) =>
        inner.AttentionBackward(shape, q, k, v, terms, saved, y, dy, dq, accumulateQ, dk, accumulateK, dv, accumulateV, dBias, dSinks);

    public virtual void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate) => inner.GatherRows(x, rows, y, accumulate);
    public virtual void ScatterAddRows(Matrix x, Indices rows, Matrix y) => inner.ScatterAddRows(x, rows, y);
    public virtual void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence) => inner.ScatterAddTokens(x, rows, y, sequence);
    public virtual void GatherColumns(Matrix x, Indices columns, Matrix y) => inner.GatherColumns(x, columns, y);
    public virtual void ScatterAddColumns(Matrix x, Indices columns, Matrix y) => inner.ScatterAddColumns(x, columns, y);

    public virtual void ChosenGates(Matrix x, Indices experts, Indices? rows, int count, Matrix y) => inner.ChosenGates(x, experts, rows, count, y);
    public virtual void ChosenGatesBackward(Indices experts, Indices? rows, int count, Matrix dy, Matrix dx, bool accumulate) =>
        inner.ChosenGatesBackward(experts, rows, count, dy, dx, accumulate);

    public virtual void Combine(Matrix x, Matrix gates, in PlanRows plan, Matrix y) => inner.Combine(x, gates, plan, y);
    public virtual void CombineBackward(
        Matrix x, Matrix gates, in PlanRows plan, Matrix dy, Matrix dx, bool accumulateX, Matrix dGates, bool accumulateGates) =>
        inner.CombineBackward(x, gates, plan, dy, dx, accumulateX, dGates, accumulateGates);

    public virtual void BalanceLoss(Matrix x, Matrix shares, Indices counts, int groups, double factor, int sequence, Matrix y) =>
        inner.BalanceLoss(x, shares, counts, groups, factor, sequence, y);

    public virtual void BalanceLossBackward(Matrix shares, Indices counts, int groups, double factor, Matrix dy, Matrix dx, bool accumulate) =>
        inner.BalanceLossBackward(shares, counts, groups, factor, dy, dx, accumulate);

    public virtual void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y) =>
        inner.StepFactor(squares, loss, clip, before, y);

    public virtual void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step) =>
        inner.AdamW(parameter, gradient, first, second, factor, step);

    public virtual void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        inner.Adafactor(parameter, gradient, rows, columns, momentum, factor, step);

    public virtual void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        inner.AdafactorUnfactored(parameter, gradient, second, momentum, factor, step);

    public virtual void Dispose()
    {
        inner.Dispose();
        GC.SuppressFinalize(this);
    }
}
