using SparseExperts.Scalar;

namespace SparseExperts.SamplePlugin;

/// <summary>
/// A backend that has what it must have and nothing else: the required ops are the definition's, and all others are the default bodies of the contract
/// (<c>Contract/Composed.cs</c>). A storage is its own and holds one of the definition's.
/// </summary>
public class SampleBackend : IBackend
{
    readonly ScalarBackend<Float32> _inner = new();

    public BackendInfo Info => _inner.Info;
    public Storage Rent(ElementType type, long length) => new SampleStorage(this, _inner.Rent(type, length));
    public void Return(Storage storage) => _inner.Return(In(storage));
    public void Dispose()
    {
        _inner.Dispose();
        GC.SuppressFinalize(this);
    }

    public void Write(Storage to, long offset, ReadOnlySpan<float> values) => _inner.Write(In(to), offset, values);
    public void Write(Storage to, long offset, ReadOnlySpan<double> values) => _inner.Write(In(to), offset, values);
    public void Write(Storage to, long offset, ReadOnlySpan<int> values) => _inner.Write(In(to), offset, values);
    public void Read(Storage from, long offset, Span<float> values) => _inner.Read(In(from), offset, values);
    public void Read(Storage from, long offset, Span<double> values) => _inner.Read(In(from), offset, values);
    public void Read(Storage from, long offset, Span<int> values) => _inner.Read(In(from), offset, values);
    public IndexFault? TakeFault() => _inner.TakeFault();
    public void Fill(Matrix matrix, double value) => _inner.Fill(In(matrix), value);
    public void Copy(Matrix from, Matrix to) => _inner.Copy(In(from), In(to));

    public void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) =>
        _inner.Gemm(In(a), transposeA, In(b), transposeB, In(c), accumulate);

    public void GemmGrouped(Matrix a, Matrix b, bool transposeB, Matrix c, Indices offsets, bool accumulate) =>
        _inner.GemmGrouped(In(a), In(b), transposeB, In(c), In(offsets), accumulate);

    public void GemmGroupedOuter(Matrix a, Matrix c, Matrix b, Indices offsets, bool accumulate) =>
        _inner.GemmGroupedOuter(In(a), In(c), In(b), In(offsets), accumulate);

    public void Add(Matrix a, Matrix b, Matrix c) => _inner.Add(In(a), In(b), In(c));
    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate) => _inner.Multiply(In(a), In(b), In(c), accumulate);
    public void Scale(Matrix a, double factor, Matrix c, bool accumulate) => _inner.Scale(In(a), factor, In(c), accumulate);
    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate) => _inner.Divide(In(a), In(b), In(c), accumulate);
    public void Clamp(Matrix x, double low, double high, Matrix y) => _inner.Clamp(In(x), low, high, In(y));

    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate) =>
        _inner.ClampBackward(In(x), low, high, In(dy), In(dx), accumulate);

    public void Round(NumberFormat format, Matrix x, Matrix y) => _inner.Round(format, In(x), In(y));
    public void Activate(Activation kind, Matrix x, Matrix y) => _inner.Activate(kind, In(x), In(y));

    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate) =>
        _inner.ActivateBackward(kind, In(x), In(dy), In(dx), accumulate);

    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate) =>
        _inner.Dropout(In(x), rate, words, In(rows), In(y), accumulate);

    public void Softmax(Matrix x, Matrix y) => _inner.Softmax(In(x), In(y));
    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => _inner.SoftmaxBackward(In(y), In(dy), In(dx), accumulate);
    public void LogSoftmax(Matrix x, Matrix y) => _inner.LogSoftmax(In(x), In(y));
    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => _inner.LogSoftmaxBackward(In(y), In(dy), In(dx), accumulate);
    public void LogSumExp(Matrix x, Matrix y) => _inner.LogSumExp(In(x), In(y));

    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate) =>
        _inner.LogSumExpBackward(In(x), In(y), In(dy), In(dx), accumulate);

    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale) =>
        _inner.RmsNorm(In(x), In(weight), epsilon, In(y), In(scale));

    public void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dWeight,
        bool accumulateWeight) =>
        _inner.RmsNormBackward(In(x), In(weight), In(scale), In(dy), sequence, In(dx), accumulateX, In(dWeight), accumulateWeight);

    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics) =>
        _inner.LayerNorm(In(x), In(weight), In(bias), epsilon, In(y), In(statistics));

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dWeight,
        Matrix dBias, bool accumulateParameters) =>
        _inner.LayerNormBackward(In(x), In(weight), In(statistics), In(dy), sequence, In(dx), accumulateX, In(dWeight), In(dBias), accumulateParameters);

    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums) =>
        _inner.CrossEntropy(In(logits), In(labels), smoothing, In(losses), In(logSums));

    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate) =>
        _inner.CrossEntropyBackward(In(logits), In(labels), smoothing, In(logSums), In(dLosses), In(dLogits), accumulate);

    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate) => _inner.SumColumns(In(x), In(y), sequence, accumulate);
    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate) => _inner.ScaleRows(In(x), In(s), In(y), accumulate);
    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate) => _inner.RowDots(In(a), In(b), In(y), accumulate);
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => _inner.AttentionSaved(shape);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y) =>
        _inner.Attention(shape, In(q), In(k), In(v), In(terms), In(saved), In(y));

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y,
        Matrix dy, Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks) =>
        _inner.AttentionBackward(shape, In(q), In(k), In(v), In(terms), In(saved), In(y), In(dy), In(dq), accumulateQ, In(dk), accumulateK,
            In(dv), accumulateV, In(dBias), In(dSinks));

    public void GatherRows(Matrix x, Indices rows, Matrix y, bool accumulate) => _inner.GatherRows(In(x), In(rows), In(y), accumulate);
    public void ScatterAddRows(Matrix x, Indices rows, Matrix y) => _inner.ScatterAddRows(In(x), In(rows), In(y));
    public void GatherColumns(Matrix x, Indices columns, Matrix y) => _inner.GatherColumns(In(x), In(columns), In(y));
    public void ScatterAddColumns(Matrix x, Indices columns, Matrix y) => _inner.ScatterAddColumns(In(x), In(columns), In(y));

    public void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y) =>
        _inner.StepFactor(In(squares), In(loss), clip, In(before), In(y));

    public void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        _inner.Adafactor(In(parameter), In(gradient), In(rows), In(columns), In(momentum), In(factor), step);

    public void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step) =>
        _inner.AdafactorUnfactored(In(parameter), In(gradient), In(second), In(momentum), In(factor), step);

    /// <summary>The definition's storage, so that it works on its own; of another backend's it says itself that it has no business here.</summary>
    Storage In(Storage storage) => storage is SampleStorage own && own.Owner == this ? own.Inner : storage;

    Matrix In(Matrix matrix) => matrix with { Storage = In(matrix.Storage) };
    AttentionTerms In(in AttentionTerms terms) => new(In(terms.Bias), In(terms.Pad), In(terms.Sinks));
    Matrix? In(Matrix? matrix) => matrix is { } one ? In(one) : null;
    Indices In(Indices indices) => indices with { Storage = In(indices.Storage) };
    Indices? In(Indices? indices) => indices is { } some ? In(some) : null;

    sealed class SampleStorage(IBackend owner, Storage inner) : Storage(owner, inner.Type, inner.Length)
    {
        public Storage Inner => inner;
    }
}
