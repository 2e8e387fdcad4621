namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void Add(Matrix a, Matrix b, Matrix c)
    {
        Check.Owned(this, "Add", a, b, c);
        Check.Same("Add", "A", a, "B", b);
        Check.Same("Add", "A", a, "C", c);
        Elements("add", [a, b, c]);
    }

    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Multiply", a, b, c);
        Check.Same("Multiply", "A", a, "B", b);
        Check.Same("Multiply", "A", a, "C", c);
        Elements("multiply", [a, b, c], accumulate);
    }

    public void Scale(Matrix a, double factor, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Scale", a, c);
        Check.Same("Scale", "A", a, "C", c);
        Elements("scale", [a, c], (float)factor, accumulate);
    }

    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Divide", a, b, c);
        Check.Same("Divide", "A", a, "B", b);
        Check.Same("Divide", "A", a, "C", c);
        Elements("divide", [a, b, c], accumulate);
    }

    public void Clamp(Matrix x, double low, double high, Matrix y)
    {
        Check.Clamp(this, "Clamp", x, low, high, x, y);
        Elements("clamp", [x, y], (float)low, (float)high);
    }

    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Clamp(this, "ClampBackward", x, low, high, dy, dx);
        Elements("clamp_backward", [x, dy, dx], (float)low, (float)high, accumulate);
    }

    public void Round(NumberFormat format, Matrix x, Matrix y)
    {
        Check.Owned(this, "Round", x, y);
        Check.Same("Round", "X", x, "Y", y);
        if (!Enum.IsDefined(format)) throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format");
        Elements("round_to", [x, y], (int)format);
    }

    public void Activate(Activation kind, Matrix x, Matrix y)
    {
        Check.Owned(this, "Activate", x, y);
        Check.Same("Activate", "X", x, "Y", y);
        Elements("activate", [x, y], Number(kind));
    }

    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "ActivateBackward", x, dy, dx);
        Check.Same("ActivateBackward", "X", x, "dY", dy);
        Check.Same("ActivateBackward", "X", x, "dX", dx);
        Elements("activate_backward", [x, dy, dx], Number(kind), accumulate);
    }

    public void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y)
    {
        Check.Gated(this, gate, linear, y);
        Elements("gated", [gate, linear, y], Number(kind));
    }

    public void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear)
    {
        Check.GatedBackward(this, gate, linear, dy, dGate, dLinear);
        Elements("gated_backward", [gate, linear, dy, dGate, dLinear], Number(kind), accumulateGate, accumulateLinear);
    }

    /// <summary>
    /// A uniform is the upper 24 bits of its word times 2⁻²⁴, so it reaches the rate where those bits reach rate · 2²⁴. Both products are exact.
    /// </summary>
    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
    {
        Check.Dropout(this, x, rate, words, rows, y);
        var places = rows is { } indices ? Pointer(indices) : default;
        var least = (int)Math.Ceiling(rate * 16777216);
        Elements("dropout", [x, y], x.Rows, x.Columns,
            places, words.Stream.Seed, words.Stream.Stream, words.Offset, words.RowStride, least, (float)(1 / (1 - rate)), accumulate);
    }

    public void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        Check.Rotary(this, x, cosines, sines, headWidth, y);
        Elements("rotary", [x, cosines, sines, y], x.Rows, x.Columns / 2, headWidth / 2, cosines.Rows, inverse, accumulate);
    }

    /// <summary>An activation as activations.cu counts them: in the enum's order.</summary>
    static int Number(Activation kind) => Enum.IsDefined(kind) ? (int)kind : throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown activation");
}
