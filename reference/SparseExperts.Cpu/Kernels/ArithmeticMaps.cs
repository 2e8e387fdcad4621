using System.Runtime.CompilerServices;
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

struct AddMap : IMap
{
    public static int Sources => 2;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => a + b;
}

struct MultiplyMap : IMap
{
    public static int Sources => 2;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => a * b;
}

struct MultiplyAddMap : IMap
{
    public static int Sources => 2;
    public static bool ReadsDestination => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => Fma(a, b, old);
}

struct ScaleMap(float factor) : IMap
{
    readonly float _factor = factor;
    public static int Sources => 1;
    public static bool ReadsDestination => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => Set(_factor) * a;
}

struct ScaleAddMap(float factor) : IMap
{
    readonly float _factor = factor;
    public static int Sources => 1;
    public static bool ReadsDestination => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly V Invoke(V a, V b, V c, V old) => Fma(Set(_factor), a, old);
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
