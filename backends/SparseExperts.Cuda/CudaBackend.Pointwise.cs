namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Add(Matrix a, Matrix b, Matrix c) => throw new NotSupportedException();
    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate) => throw new NotSupportedException();
    public void Scale(Matrix a, double factor, Matrix c, bool accumulate) => throw new NotSupportedException();
    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate) => throw new NotSupportedException();
    public void Clamp(Matrix x, double low, double high, Matrix y) => throw new NotSupportedException();
    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate) => throw new NotSupportedException();
    public void Round(NumberFormat format, Matrix x, Matrix y) => throw new NotSupportedException();
    public void Activate(Activation kind, Matrix x, Matrix y) => throw new NotSupportedException();
    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate) => throw new NotSupportedException();
    public void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y) => throw new NotSupportedException();
    public void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear) => throw new NotSupportedException();
    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate) => throw new NotSupportedException();
    public void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate) => throw new NotSupportedException();
}
