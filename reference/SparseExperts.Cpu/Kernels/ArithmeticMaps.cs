using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.VectorMath;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

/// <summary>How a result meets its destination: written over it or added to it.</summary>
interface IPut
{
    static abstract bool Accumulates { get; }
    static abstract V Put(V value, V old);
}

struct Overwrite : IPut
{
    public static bool Accumulates => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Put(V value, V old) => value;
}

struct Accumulate : IPut
{
    public static bool Accumulates => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Put(V value, V old) => old + value;
}

struct CopyMap : IMap
{
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => a;
}

struct FillMap(float value) : IMap
{
    readonly float _value = value;
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => Set(_value);
}

struct DivideMap<TPut> : IMap where TPut : IPut
{
    public static int Sources => 2;
    public static bool ReadsDestination => TPut.Accumulates;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => TPut.Put(a / b, old);
}

struct ClampMap(float low, float high) : IMap
{
    readonly float _low = low, _high = high;
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) =>
        Pick(Vector512.LessThan(a, Set(_low)), Set(_low), Pick(Vector512.GreaterThan(a, Set(_high)), Set(_high), a));
}

struct ClampSlopeMap<TPut>(float low, float high) : IMap where TPut : IPut
{
    readonly float _low = low, _high = high;
    public static int Sources => 2;
    public static bool ReadsDestination => TPut.Accumulates;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V x, V dy, V c, V old) =>
        TPut.Put(Pick(Vector512.LessThan(x, Set(_low)) | Vector512.GreaterThan(x, Set(_high)), V.Zero, dy), old);
}

/// <summary>To bfloat16: add just under half of the dropped digits, and one more where the kept ones are odd. NaN and ∞ stay.</summary>
struct RoundToBFloat16Map : IMap
{
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old)
    {
        var bits = a.AsUInt32();
        var odd = Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One;
        var rounded = ((bits + Vector512.Create(0x7FFFu) + odd) & Vector512.Create(0xFFFF0000u)).AsSingle();
        var special = Vector512.Equals(bits & Vector512.Create(0x7F800000u), Vector512.Create(0x7F800000u)).AsSingle();
        return Pick(special, a, rounded);
    }
}

/// <summary>To binary16 and back, element by element.</summary>
unsafe struct RoundToHalfMap : IMap
{
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    public readonly V Invoke(V a, V b, V c, V old)
    {
        for (var i = 0; i < 16; i++) ((float*)&a)[i] = (float)(Half)((float*)&a)[i];
        return a;
    }
}
