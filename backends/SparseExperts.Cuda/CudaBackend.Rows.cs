namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Softmax(Matrix x, Matrix y) => throw new NotSupportedException();
    public void SoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => throw new NotSupportedException();
    public void LogSoftmax(Matrix x, Matrix y) => throw new NotSupportedException();
    public void LogSoftmaxBackward(Matrix y, Matrix dy, Matrix dx, bool accumulate) => throw new NotSupportedException();
    public void LogSumExp(Matrix x, Matrix y) => throw new NotSupportedException();
    public void LogSumExpBackward(Matrix x, Matrix y, Matrix dy, Matrix dx, bool accumulate) => throw new NotSupportedException();
    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale) => throw new NotSupportedException();
    public void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dWeight, bool accumulateWeight) => throw new NotSupportedException();
    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics) => throw new NotSupportedException();
    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX, Matrix dWeight, Matrix dBias, bool accumulateParameters) => throw new NotSupportedException();
    public void CrossEntropy(Matrix logits, Indices labels, double smoothing, Matrix losses, Matrix logSums) => throw new NotSupportedException();
    public void CrossEntropyBackward(Matrix logits, Indices labels, double smoothing, Matrix logSums, Matrix dLosses, Matrix dLogits, bool accumulate) => throw new NotSupportedException();
    public void SumRows(Matrix x, Matrix y, bool accumulate) => throw new NotSupportedException();
    public void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate) => throw new NotSupportedException();
    public void ScaleRows(Matrix x, Matrix s, Matrix y, bool accumulate) => throw new NotSupportedException();
    public void RowDots(Matrix a, Matrix b, Matrix y, bool accumulate) => throw new NotSupportedException();
}
