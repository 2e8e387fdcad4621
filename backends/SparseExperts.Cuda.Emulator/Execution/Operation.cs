using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>What an instruction does for the lanes of a warp that take part; bit l of <c>lanes</c> is lane l.</summary>
abstract unsafe class Operation
{
    public const uint AllLanes = uint.MaxValue;

    public abstract void Run(Warp warp, uint lanes);

    /// <summary>Stores part <paramref name="i"/> of a row for the lanes that take part.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static void Store<T>(byte* row, int i, Vector256<T> value, uint lanes) where T : unmanaged
    {
        var at = (T*)row + i * Vector256<T>.Count;
        if (lanes != AllLanes) value = Vector256.ConditionalSelect(Part<T>(lanes, i), value, Vector256.Load(at));
        value.Store(at);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static Vector256<T> Load<T>(byte* row, int i) where T : unmanaged => Vector256.Load((T*)row + i * Vector256<T>.Count);

    /// <summary>All ones in the elements of part <paramref name="i"/> whose bit is set.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    protected static Vector256<T> Part<T>(uint lanes, int i) where T : unmanaged
    {
        if (sizeof(T) == 8)
        {
            var bit = Vector256.Create(1UL, 2, 4, 8);
            return Vector256.Equals(Vector256.Create((ulong)lanes >> (4 * i)) & bit, bit).As<ulong, T>();
        }
        var bits = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
        return Vector256.Equals(Vector256.Create(lanes >> (8 * i)) & bits, bits).As<uint, T>();
    }

    /// <summary>The bits of a lane; a register of 16 bits has zeros above.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static ulong Get(byte* row, int size, int lane) => size == 8 ? ((ulong*)row)[lane] : ((uint*)row)[lane];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Put(byte* row, int size, int lane, ulong value)
    {
        if (size == 8) ((ulong*)row)[lane] = value;
        else ((uint*)row)[lane] = size == 2 ? (ushort)value : (uint)value;
    }

    protected static int Lowest(uint lanes) => BitOperations.TrailingZeroCount(lanes);
}
