using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>
/// The canonical elementary functions on 16 lanes: operation by operation what <c>CanonicalMath</c> of the scalar backend does, so
/// the bits are equal. Where the machine is narrower .NET splits each operation, which changes nothing.
/// </summary>
static unsafe class VectorMath
{
    const float Log2E = 1.44269504f, Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f, RoundMagic = 12582912f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Set(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Fma(V a, V b, V c) => Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Pick(V mask, V yes, V no) => Vector512.ConditionalSelect(mask, yes, no);

    /// <summary>The first <paramref name="count"/> &lt; 16 floats, zeros behind.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Load(float* p, int count)
    {
        if (Avx512F.IsSupported) return Avx512F.MaskLoad(p, Tail(count), V.Zero);
        V value = default;
        for (var i = 0; i < count; i++) ((float*)&value)[i] = p[i];
        return value;
    }

    /// <summary>Stores the first <paramref name="count"/> &lt; 16 lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(V value, float* p, int count)
    {
        if (Avx512F.IsSupported) { Avx512F.MaskStore(p, Tail(count), value); return; }
        for (var i = 0; i < count; i++) p[i] = ((float*)&value)[i];
    }

    /// <summary>The join tree of a canonical sum: lanes l and l + 8, l + 4, l + 2, l + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Join(V lanes)
    {
        var eight = lanes.GetLower() + lanes.GetUpper();
        var four = eight.GetLower() + eight.GetUpper();
        return four[0] + four[2] + (four[1] + four[3]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float JoinMax(V lanes)
    {
        var eight = Larger(lanes.GetLower(), lanes.GetUpper());
        var four = Vector128.ConditionalSelect(Vector128.GreaterThan(eight.GetUpper(), eight.GetLower()), eight.GetUpper(), eight.GetLower());
        float a = four[2] > four[0] ? four[2] : four[0], b = four[3] > four[1] ? four[3] : four[1];
        return b > a ? b : a;

        static Vector256<float> Larger(Vector256<float> a, Vector256<float> b) => Vector256.ConditionalSelect(Vector256.GreaterThan(b, a), b, a);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Exp(V x)
    {
        x = Pick(Vector512.GreaterThan(x, Set(89f)), Set(89f), x);
        x = Pick(Vector512.LessThan(x, Set(-104f)), Set(-104f), x);
        var shifted = x * Set(Log2E) + Set(RoundMagic);
        var n = shifted - Set(RoundMagic);
        var r = Fma(n, Set(-Ln2High), x);
        r = Fma(n, Set(-Ln2Low), r);
        var p = Fma(Set(0.0013814320554956794f), r, Set(0.00836885068565607f));
        p = Fma(p, r, Set(0.041668400168418884f));
        p = Fma(p, r, Set(0.1666651964187622f));
        p = Fma(p, r, Set(0.4999999403953552f));
        p = Fma(p, r * r, r) + Set(1f);
        var i = shifted.AsInt32() - Vector512.Create(0x4B400000);          // the integer n sits in the low bits of the shifted sum
        var half = Vector512.ShiftRightArithmetic(i, 1);
        return p * PowerOfTwo(half) * PowerOfTwo(i - half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V PowerOfTwo(Vector512<int> n) => Vector512.ShiftLeft(n + Vector512.Create(127), 23).AsSingle();

    public static float Exp(float x) => Exp(Set(x)).ToScalar();
    public static float Log(float x) => Log(Set(x)).ToScalar();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Log(V x)
    {
        var small = Vector512.LessThan(x, Set(1.17549435e-38f));
        var bits = Pick(small, x * Set(8388608f), x).AsInt32();
        var e = Vector512.ShiftRightArithmetic(bits - Vector512.Create(0x3f3504f3), 23);
        var f = (bits - Vector512.ShiftLeft(e, 23)).AsSingle() - Set(1f);
        var exponent = Vector512.ConvertToSingle(e - Vector512.BitwiseAnd(small.AsInt32(), Vector512.Create(23)));
        var p = Fma(Set(-0.07634492963552475f), f, Set(0.12761574983596802f));
        p = Fma(p, f, Set(-0.13160182535648346f));
        p = Fma(p, f, Set(0.14201758801937103f));
        p = Fma(p, f, Set(-0.16623356938362122f));
        p = Fma(p, f, Set(0.20001226663589478f));
        p = Fma(p, f, Set(-0.2500081956386566f));
        p = Fma(p, f, Set(0.3333333134651184f));
        var square = f * f;
        var y = Fma(p, square * f, exponent * Set(Ln2Low));
        y = Fma(square, Set(-0.5f), y);
        y = Fma(exponent, Set(Ln2High), f + y);
        y = Pick(Vector512.Equals(x, Set(float.PositiveInfinity)), x, y);
        var positive = Vector512.GreaterThan(x, V.Zero);
        return Pick(positive, y, Pick(Vector512.Equals(x, V.Zero), Set(float.NegativeInfinity), Set(float.NaN)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Tanh(V x)
    {
        var a = Vector512.Abs(x);
        var z = x * x;
        var p = Fma(Set(-0.005717044696211815f), z, Set(0.020650586113333702f));
        p = Fma(p, z, Set(-0.05374349653720856f));
        p = Fma(p, z, Set(0.13331490755081177f));
        p = Fma(p, z, Set(-0.3333328366279602f));
        var near = Fma(p, z * a, a);
        var far = Set(1f) - Set(2f) / (Exp(a + a) + Set(1f));
        return KeepNaN(x, CopySign(Pick(Vector512.LessThan(a, Set(0.625f)), near, far), x));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Erf(V x)
    {
        var a = Vector512.Abs(x);
        var z = x * x;
        var p = Fma(Set(8.345227251993492e-05f), z, Set(-0.0008137437980622053f));
        p = Fma(p, z, Set(0.005200634244829416f));
        p = Fma(p, z, Set(-0.02685927040874958f));
        p = Fma(p, z, Set(0.11283694207668304f));
        p = Fma(p, z, Set(-0.37612634897232056f));
        p = Fma(p, z, Set(0.12837916612625122f));
        var near = Fma(p, x, x);
        var b = Pick(Vector512.LessThan(a, Set(4f)), a, Set(4f));
        var q = Fma(Set(-2.0965366275049746e-05f), b, Set(0.00043296627700328827f));
        q = Fma(q, b, Set(-0.004163829609751701f));
        q = Fma(q, b, Set(0.025100428611040115f));
        q = Fma(q, b, Set(-0.10825079679489136f));
        q = Fma(q, b, Set(-0.6333734393119812f));
        q = Fma(q, b, Set(-1.1295018196105957f));
        q = Fma(q, b, Set(0.00017197334091179073f));
        var far = Set(1f) - Exp(q);
        return KeepNaN(x, Pick(Vector512.LessThan(a, Set(0.92f)), near, CopySign(far, x)));
    }

    /// <summary>1/(1 + e⁻ˣ), or eˣ/(1 + eˣ) for negative x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sigmoid(V x)
    {
        var negative = Vector512.LessThan(x, V.Zero);
        var e = Exp(Pick(negative, x, -x));
        var r = Set(1f) / (Set(1f) + e);
        return Pick(negative, e * r, r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V KeepNaN(V x, V y) => Pick(Vector512.Equals(x, x), y, x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V CopySign(V magnitude, V sign)
    {
        var top = Vector512.Create(-0f);
        return Vector512.AndNot(magnitude, top) | (sign & top);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static V Tail(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();
}
