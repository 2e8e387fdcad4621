namespace SparseExperts.Scalar;

public sealed partial class ScalarBackend<T>
{
    public void Add(Matrix a, Matrix b, Matrix c)
    {
        Check.Owned(this, "Add", a, b, c);
        Check.Same("Add", "A", a, "B", b);
        Check.Same("Add", "A", a, "C", c);
        View<T> x = new(a), y = new(b), z = new(c);
        for (var r = 0; r < z.Rows; r++)
            for (var j = 0; j < z.Columns; j++) z[r, j] = x[r, j] + y[r, j];
    }

    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Multiply", a, b, c);
        Check.Same("Multiply", "A", a, "B", b);
        Check.Same("Multiply", "A", a, "C", c);
        View<T> x = new(a), y = new(b), z = new(c);
        for (var r = 0; r < z.Rows; r++)
            for (var j = 0; j < z.Columns; j++)
                z[r, j] = accumulate ? T.Fma(x[r, j], y[r, j], z[r, j]) : x[r, j] * y[r, j];
    }

    public void Scale(Matrix a, double factor, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Scale", a, c);
        Check.Same("Scale", "A", a, "C", c);
        View<T> x = new(a), z = new(c);
        var f = T.Of(factor);
        for (var r = 0; r < z.Rows; r++)
            for (var j = 0; j < z.Columns; j++)
                z[r, j] = accumulate ? T.Fma(f, x[r, j], z[r, j]) : f * x[r, j];
    }

    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Divide", a, b, c);
        Check.Same("Divide", "A", a, "B", b);
        Check.Same("Divide", "A", a, "C", c);
        View<T> x = new(a), y = new(b), z = new(c);
        for (var r = 0; r < z.Rows; r++)
            for (var j = 0; j < z.Columns; j++) Put(ref z[r, j], x[r, j] / y[r, j], accumulate);
    }

    public void Clamp(Matrix x, double low, double high, Matrix y)
    {
        Check.Clamp(this, "Clamp", x, low, high, x, y);
        View<T> a = new(x), b = new(y);
        T least = T.Of(low), most = T.Of(high);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++)
                b[r, j] = a[r, j].Value < least.Value ? T.Chosen(least, a[r, j], a[r, j], least.Value - a[r, j].Value)
                    : a[r, j].Value > most.Value ? T.Chosen(most, a[r, j], a[r, j], a[r, j].Value - most.Value)
                    : a[r, j];
    }

    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Clamp(this, "ClampBackward", x, low, high, dy, dx);
        View<T> a = new(x), g = new(dy), d = new(dx);
        T least = T.Of(low), most = T.Of(high);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++)
            {
                var outside = Math.Max(least.Value - a[r, j].Value, a[r, j].Value - most.Value);
                Put(ref d[r, j], outside > 0 ? T.Chosen(Zero, g[r, j], a[r, j], outside) : T.Chosen(g[r, j], Zero, a[r, j], -outside), accumulate);
            }
    }

    public void Round(NumberFormat format, Matrix x, Matrix y)
    {
        Check.Owned(this, "Round", x, y);
        Check.Same("Round", "X", x, "Y", y);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) b[r, j] = T.Round(format, a[r, j]);
    }

    public void Activate(Activation kind, Matrix x, Matrix y)
    {
        Check.Owned(this, "Activate", x, y);
        Check.Same("Activate", "X", x, "Y", y);
        View<T> a = new(x), b = new(y);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) b[r, j] = Activations<T>.Value(kind, a[r, j]);
    }

    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "ActivateBackward", x, dy, dx);
        Check.Same("ActivateBackward", "X", x, "dY", dy);
        Check.Same("ActivateBackward", "X", x, "dX", dx);
        View<T> a = new(x), g = new(dy), d = new(dx);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) Put(ref d[r, j], g[r, j] * Activations<T>.Slope(kind, a[r, j]), accumulate);
    }

    public void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y)
    {
        Check.Gated(this, gate, linear, y);
        View<T> a = new(gate), b = new(linear), c = new(y);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++) c[r, j] = Activations<T>.Value(kind, a[r, j]) * b[r, j];
    }

    public void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear)
    {
        Check.GatedBackward(this, gate, linear, dy, dGate, dLinear);
        View<T> a = new(gate), b = new(linear), g = new(dy), da = new(dGate), db = new(dLinear);
        for (var r = 0; r < a.Rows; r++)
            for (var j = 0; j < a.Columns; j++)
            {
                Put(ref da[r, j], g[r, j] * b[r, j] * Activations<T>.Slope(kind, a[r, j]), accumulateGate);
                Put(ref db[r, j], g[r, j] * Activations<T>.Value(kind, a[r, j]), accumulateLinear);
            }
    }

    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
    {
        Check.Dropout(this, x, rate, words, rows, y);
        View<T> a = new(x), b = new(y);
        var keep = T.Of(1 / (1 - rate));
        for (var r = 0; r < a.Rows; r++)
        {
            var place = rows is { } indices ? Integers(indices)[r] : r;
            for (var j = 0; j < a.Columns; j++)
            {
                var kept = place >= 0 && Philox.Uniform(Philox.Word(words.Stream, (ulong)(words.Offset + place * words.RowStride + j))) >= rate;
                Put(ref b[r, j], kept ? a[r, j] * keep : Zero, accumulate);
            }
        }
    }

    public void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        Check.Rotary(this, x, cosines, sines, headWidth, y);
        View<T> a = new(x), cos = new(cosines), sin = new(sines), b = new(y);
        var half = headWidth / 2;
        for (var r = 0; r < a.Rows; r++)
            for (var head = 0; head < a.Columns; head += headWidth)
                for (var i = 0; i < half; i++)
                {
                    T c = cos[r % cos.Rows, i], s = inverse ? -sin[r % cos.Rows, i] : sin[r % cos.Rows, i];
                    T u = a[r, head + i], v = a[r, head + half + i];
                    Put(ref b[r, head + i], T.Fma(-v, s, u * c), accumulate);
                    Put(ref b[r, head + half + i], T.Fma(u, s, v * c), accumulate);
                }
    }
}
