namespace SparseExperts.Scalar;

/// <summary>The activations and their derivatives, written once over any arithmetic.</summary>
static class Activations<T> where T : struct, IReal<T>
{
    static readonly T Zero = T.Of(0);
    static readonly T One = T.Of(1);
    static readonly T Half = T.Of(0.5);
    static readonly T InverseSqrt2 = T.Of(0.70710678118654752440);
    static readonly T InverseSqrt2Pi = T.Of(0.39894228040143267794);
    static readonly T TanhScale = T.Of(0.79788456080286535588);
    static readonly T Cubic = T.Of(0.044715);
    static readonly T Three = T.Of(3);
    static readonly T TwoOverRootPi = T.Of(1.12837916709551257390);

    public static T Value(Activation kind, T x) => kind switch
    {
        Activation.Relu => x.Value <= 0 ? T.Chosen(Zero, x, x, -x.Value) : x,
        Activation.GeluErf => Half * x * (One + T.Erf(x * InverseSqrt2)),
        Activation.GeluTanh => Half * x * (One + T.Tanh(TanhInner(x))),
        Activation.Silu => x * Sigmoid(x),
        Activation.Sigmoid => Sigmoid(x),
        Activation.Tanh => T.Tanh(x),
        Activation.Softplus => Softplus(x),
        Activation.Identity => x,
        Activation.Sqrt => T.Sqrt(x),
        Activation.Exp => T.Exp(x),
        Activation.Log => T.Log(x),
        Activation.Erf => T.Erf(x),
        _ => throw Unknown(kind),
    };

    public static T Slope(Activation kind, T x)
    {
        switch (kind)
        {
            case Activation.Relu: return x.Value <= 0 ? T.Chosen(Zero, One, x, -x.Value) : T.Chosen(One, Zero, x, x.Value);
            case Activation.GeluErf:                              // Φ(x) + x·φ(x)
                var phi = T.Exp(-Half * x * x) * InverseSqrt2Pi;
                return T.Fma(x, phi, Half * (One + T.Erf(x * InverseSqrt2)));
            case Activation.GeluTanh:                             // ½(1 + t) + ½x(1 − t²)·u'
                var t = T.Tanh(TanhInner(x));
                var inner = TanhScale * T.Fma(Three * Cubic, x * x, One);
                return T.Fma(Half * x * (One - t) * (One + t), inner, Half * (One + t));
            case Activation.Silu:                                 // σ + x·σ·(1 − σ)
                var s = Sigmoid(x);
                return T.Fma(x * s, One - s, s);
            case Activation.Sigmoid:
                var g = Sigmoid(x);
                return g * (One - g);
            case Activation.Tanh:
                var h = T.Tanh(x);
                return (One - h) * (One + h);
            case Activation.Softplus: return Sigmoid(x);
            case Activation.Identity: return One;
            case Activation.Sqrt: return Half / T.Sqrt(x);
            case Activation.Exp: return T.Exp(x);
            case Activation.Log: return One / x;
            case Activation.Erf: return TwoOverRootPi * T.Exp(-x * x);   // 2/√π·e^{−x²}
            default: throw Unknown(kind);
        }
    }

    /// <summary>1/(1 + e⁻ˣ), or e^x/(1 + e^x) for negative x so that tiny values keep their digits.</summary>
    public static T Sigmoid(T x)
    {
        var e = T.Exp(x.Value < 0 ? x : -x);
        var r = One / (One + e);
        return x.Value < 0 ? e * r : r;
    }

    /// <summary>max(x, 0) + ln(1 + e^{−|x|}).</summary>
    static T Softplus(T x) => (x.Value <= 0 ? Zero : x) + T.Log1p(T.Exp(x.Value < 0 ? x : -x));

    static T TanhInner(T x) => TanhScale * T.Fma(Cubic * x * x, x, x);

    static ArgumentOutOfRangeException Unknown(Activation kind) => new(nameof(kind), kind, "unknown activation");
}
