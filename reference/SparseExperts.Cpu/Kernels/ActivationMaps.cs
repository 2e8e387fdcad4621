using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.VectorMath;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>An activation on 16 lanes: value and derivative, operation by operation as the scalar definition.</summary>
interface IActivation
{
    static abstract V Value(V x);
    static abstract V Slope(V x);
}

struct Relu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Pick(Vector512.LessThanOrEqual(x, V.Zero), V.Zero, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Pick(Vector512.LessThanOrEqual(x, V.Zero), V.Zero, Set(1f));
}

struct GeluErf : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Set(0.5f) * x * (Set(1f) + Erf(x * Set(0.70710678118654752440f)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x)
    {
        var phi = Exp(Set(-0.5f) * x * x) * Set(0.39894228040143267794f);
        return Fma(x, phi, Set(0.5f) * (Set(1f) + Erf(x * Set(0.70710678118654752440f))));
    }
}

struct GeluTanh : IActivation
{
    const float TanhScale = 0.79788456080286535588f, Cubic = 0.044715f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Inner(V x) => Set(TanhScale) * Fma(Set(Cubic) * x * x, x, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Set(0.5f) * x * (Set(1f) + Tanh(Inner(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x)
    {
        var t = Tanh(Inner(x));
        var inner = Set(TanhScale) * Fma(Set(3f * Cubic), x * x, Set(1f));
        return Fma(Set(0.5f) * x * (Set(1f) - t) * (Set(1f) + t), inner, Set(0.5f) * (Set(1f) + t));
    }
}

struct Silu : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => x * VectorMath.Sigmoid(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x)
    {
        var s = VectorMath.Sigmoid(x);
        return Fma(x * s, Set(1f) - s, s);
    }
}

struct Sigmoid : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => VectorMath.Sigmoid(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x)
    {
        var s = VectorMath.Sigmoid(x);
        return s * (Set(1f) - s);
    }
}

struct HyperbolicTangent : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Tanh(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x)
    {
        var t = Tanh(x);
        return (Set(1f) - t) * (Set(1f) + t);
    }
}

struct Softplus : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x)
    {
        var e = Exp(Pick(Vector512.LessThan(x, V.Zero), x, -x));
        var w = Set(1f) + e;
        var lost = (e - (w - Set(1f))) / w;
        return Relu.Value(x) + (Log(w) + lost);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => VectorMath.Sigmoid(x);
}

struct Identity : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Set(1f);
}

struct SquareRoot : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Vector512.Sqrt(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Set(0.5f) / Vector512.Sqrt(x);
}

struct Exponential : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Exp(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Exp(x);
}

struct Logarithm : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Log(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Set(1f) / x;
}

struct ErrorFunction : IActivation
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Value(V x) => Erf(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Slope(V x) => Set(1.12837916709551257390f) * Exp(-x * x);
}

/// <summary>The maps that an activation stands in: forward, backward, gated forward, and the two gated gradients.</summary>
struct ValueMap<T> : IMap where T : IActivation
{
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V x, V b, V c, V old) => T.Value(x);
}

struct SlopeMap<T, TPut> : IMap where T : IActivation where TPut : IPut
{
    public static int Sources => 2;
    public static bool ReadsDestination => TPut.Accumulates;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V x, V dy, V c, V old) => TPut.Put(dy * T.Slope(x), old);
}

struct GatedMap<T> : IMap where T : IActivation
{
    public static int Sources => 2;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V gate, V linear, V c, V old) => T.Value(gate) * linear;
}

struct GateSlopeMap<T, TPut> : IMap where T : IActivation where TPut : IPut
{
    public static int Sources => 3;
    public static bool ReadsDestination => TPut.Accumulates;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V gate, V linear, V dy, V old) => TPut.Put(dy * linear * T.Slope(gate), old);
}

struct GateValueMap<T, TPut> : IMap where T : IActivation where TPut : IPut
{
    public static int Sources => 2;
    public static bool ReadsDestination => TPut.Accumulates;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V gate, V dy, V c, V old) => TPut.Put(dy * T.Value(gate), old);
}
