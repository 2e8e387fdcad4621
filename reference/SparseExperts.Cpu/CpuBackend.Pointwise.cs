using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void Add(Matrix a, Matrix b, Matrix c)
    {
        Check.Owned(this, "Add", a, b, c);
        Check.Same("Add", "A", a, "B", b);
        Check.Same("Add", "A", a, "C", c);
        Map.Rows(this, new AddRow(), a, b, b, c);
    }

    public void Multiply(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Multiply", a, b, c);
        Check.Same("Multiply", "A", a, "B", b);
        Check.Same("Multiply", "A", a, "C", c);
        if (accumulate) Map.Rows(this, new MultiplyAddRow(), a, b, b, c);
        else Map.Rows(this, new MultiplyRow(), a, b, b, c);
    }

    public void Scale(Matrix a, double factor, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Scale", a, c);
        Check.Same("Scale", "A", a, "C", c);
        if (accumulate) Map.Rows(this, new ScaleAddRow((float)factor), a, a, a, c);
        else Map.Rows(this, new ScaleRow((float)factor), a, a, a, c);
    }

    public void Divide(Matrix a, Matrix b, Matrix c, bool accumulate)
    {
        Check.Owned(this, "Divide", a, b, c);
        Check.Same("Divide", "A", a, "B", b);
        Check.Same("Divide", "A", a, "C", c);
        if (accumulate) Apply(new DivideMap<Accumulate>(), a, b, b, c);
        else Apply(new DivideMap<Overwrite>(), a, b, b, c);
    }

    public void Clamp(Matrix x, double low, double high, Matrix y)
    {
        Check.Clamp(this, "Clamp", x, low, high, x, y);
        Apply(new ClampMap((float)low, (float)high), x, x, x, y);
    }

    public void ClampBackward(Matrix x, double low, double high, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Clamp(this, "ClampBackward", x, low, high, dy, dx);
        if (accumulate) Apply(new ClampSlopeMap<Accumulate>((float)low, (float)high), x, dy, dy, dx);
        else Apply(new ClampSlopeMap<Overwrite>((float)low, (float)high), x, dy, dy, dx);
    }

    public void Round(NumberFormat format, Matrix x, Matrix y)
    {
        Check.Owned(this, "Round", x, y);
        Check.Same("Round", "X", x, "Y", y);
        switch (format)
        {
            case NumberFormat.Float16: Apply(new RoundToHalfMap(), x, x, x, y); break;
            case NumberFormat.BFloat16: Apply(new RoundToBFloat16Map(), x, x, x, y); break;
            case NumberFormat.Float32 or NumberFormat.Float64: Apply(new CopyMap(), x, x, x, y); break;
            default: throw new ArgumentOutOfRangeException(nameof(format), format, "unknown number format");
        }
    }

    public void Activate(Activation kind, Matrix x, Matrix y)
    {
        Check.Owned(this, "Activate", x, y);
        Check.Same("Activate", "X", x, "Y", y);
        Dispatch(kind, new Forward(this, x, y));
    }

    public void ActivateBackward(Activation kind, Matrix x, Matrix dy, Matrix dx, bool accumulate)
    {
        Check.Owned(this, "ActivateBackward", x, dy, dx);
        Check.Same("ActivateBackward", "X", x, "dY", dy);
        Check.Same("ActivateBackward", "X", x, "dX", dx);
        Dispatch(kind, new Backward(this, x, dy, dx, accumulate));
    }

    public void Gated(Activation kind, Matrix gate, Matrix linear, Matrix y)
    {
        Check.Gated(this, gate, linear, y);
        Dispatch(kind, new GatedForward(this, gate, linear, y));
    }

    public void GatedBackward(Activation kind, Matrix gate, Matrix linear, Matrix dy, Matrix dGate, bool accumulateGate, Matrix dLinear, bool accumulateLinear)
    {
        Check.GatedBackward(this, gate, linear, dy, dGate, dLinear);
        Dispatch(kind, new GateBackward(this, gate, linear, dy, dGate, accumulateGate, dLinear, accumulateLinear));
    }

    /// <summary>From an enum to a type, so that each activation becomes a loop of its own.</summary>
    interface ICall { void With<T>() where T : struct, IActivation; }

    static void Dispatch<TCall>(Activation kind, TCall call) where TCall : struct, ICall
    {
        switch (kind)
        {
            case Activation.Relu: call.With<Relu>(); break;
            case Activation.GeluErf: call.With<GeluErf>(); break;
            case Activation.GeluTanh: call.With<GeluTanh>(); break;
            case Activation.Silu: call.With<Silu>(); break;
            case Activation.Sigmoid: call.With<Sigmoid>(); break;
            case Activation.Tanh: call.With<HyperbolicTangent>(); break;
            case Activation.Softplus: call.With<Softplus>(); break;
            case Activation.Identity: call.With<Identity>(); break;
            case Activation.Sqrt: call.With<SquareRoot>(); break;
            case Activation.Exp: call.With<Exponential>(); break;
            case Activation.Log: call.With<Logarithm>(); break;
            case Activation.Erf: call.With<ErrorFunction>(); break;
            default: throw new ArgumentOutOfRangeException(nameof(kind), kind, "unknown activation");
        }
    }

    readonly struct Forward(CpuBackend backend, Matrix x, Matrix y) : ICall
    {
        public void With<T>() where T : struct, IActivation => backend.Apply(new ValueMap<T>(), x, x, x, y);
    }

    readonly struct Backward(CpuBackend backend, Matrix x, Matrix dy, Matrix dx, bool accumulate) : ICall
    {
        public void With<T>() where T : struct, IActivation
        {
            if (accumulate) backend.Apply(new SlopeMap<T, Accumulate>(), x, dy, dy, dx);
            else backend.Apply(new SlopeMap<T, Overwrite>(), x, dy, dy, dx);
        }
    }

    readonly struct GatedForward(CpuBackend backend, Matrix gate, Matrix linear, Matrix y) : ICall
    {
        public void With<T>() where T : struct, IActivation => backend.Apply(new GatedMap<T>(), gate, linear, linear, y);
    }

    readonly struct GateBackward(
        CpuBackend backend,
        Matrix gate,
        Matrix linear,
        Matrix dy,
        Matrix dGate,
        bool accumulateGate,
        Matrix dLinear,
        bool accumulateLinear) : ICall
    {
        public void With<T>() where T : struct, IActivation
        {
            if (accumulateGate) backend.Apply(new GateSlopeMap<T, Accumulate>(), gate, linear, dy, dGate);
            else backend.Apply(new GateSlopeMap<T, Overwrite>(), gate, linear, dy, dGate);
            if (accumulateLinear) backend.Apply(new GateValueMap<T, Accumulate>(), gate, dy, dy, dLinear);
            else backend.Apply(new GateValueMap<T, Overwrite>(), gate, dy, dy, dLinear);
        }
    }

    public void Rotary(Matrix x, Matrix cosines, Matrix sines, int headWidth, bool inverse, Matrix y, bool accumulate)
    {
        Check.Rotary(this, x, cosines, sines, headWidth, y);
        Workers.Run((x.Rows + 63) / 64, new RotaryJob
        {
            X = Pointer(x),
            Y = Pointer(y),
            Cos = Pointer(cosines),
            Sin = Pointer(sines),
            StrideX = x.Stride,
            StrideY = y.Stride,
            StrideCos = cosines.Stride,
            StrideSin = sines.Stride,
            Rows = x.Rows,
            Columns = x.Columns,
            Positions = cosines.Rows,
            HeadWidth = headWidth,
            Sign = inverse ? -1f : 1f,
            Accumulate = accumulate,
        });
    }

    struct RotaryJob : IJob
    {
        public float* X, Y, Cos, Sin;
        public long StrideX, StrideY, StrideCos, StrideSin;
        public int Rows, Columns, Positions, HeadWidth;
        public float Sign;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            var half = HeadWidth / 2;
            for (int row = part * 64, end = Math.Min(Rows, row + 64); row < end; row++)
            {
                float* cos = Cos + row % Positions * StrideCos, sin = Sin + row % Positions * StrideSin;
                for (var head = 0; head < Columns; head += HeadWidth)
                {
                    float* x = X + row * StrideX + head, y = Y + row * StrideY + head;
                    var i = 0;
                    for (; i + 8 <= half; i += 8)
                    {
                        Vector256<float> c = Vector256.Load(cos + i), s = Vector256.Load(sin + i) * Sign;
                        Vector256<float> u = Vector256.Load(x + i), v = Vector256.Load(x + half + i);
                        var first = Vector256.FusedMultiplyAdd(-v, s, u * c);
                        var second = Vector256.FusedMultiplyAdd(u, s, v * c);
                        (Accumulate ? Vector256.Load(y + i) + first : first).Store(y + i);
                        (Accumulate ? Vector256.Load(y + half + i) + second : second).Store(y + half + i);
                    }
                    for (; i < half; i++)
                    {
                        float c = cos[i], s = sin[i] * Sign, u = x[i], v = x[half + i];
                        float first = MathF.FusedMultiplyAdd(-v, s, u * c), second = MathF.FusedMultiplyAdd(u, s, v * c);
                        (y[i], y[half + i]) = Accumulate ? (y[i] + first, y[half + i] + second) : (first, second);
                    }
                }
            }
        }
    }
}
