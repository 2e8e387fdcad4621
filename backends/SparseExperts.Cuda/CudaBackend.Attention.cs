namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix probabilities, Matrix y) => throw new NotSupportedException();
    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix probabilities, Matrix dy, Matrix dq, Matrix dk, Matrix dv, bool accumulate, Matrix? dBias) => throw new NotSupportedException();
}
