using System.Runtime.Intrinsics;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>d (64 bits) = f of rows of 32 bits that were made wider, with their sign or without.</summary>
sealed unsafe class Widened(int d, int a, int b, bool signed, BinaryFunction<ulong> function) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < 4; i++)
        {
            var ((lowA, highA), (lowB, highB)) = (Wider(r + a, i), Wider(r + b, i));
            Store(r + d, 2 * i, function(lowA, lowB), lanes);
            Store(r + d, 2 * i + 1, function(highA, highB), lanes);
        }
    }

    (Vector256<ulong> Low, Vector256<ulong> High) Wider(byte* row, int i)
    {
        if (!signed) return Vector256.Widen(Load<uint>(row, i));
        var (low, high) = Vector256.Widen(Load<int>(row, i));
        return (low.AsUInt64(), high.AsUInt64());
    }
}

/// <summary>d = the low 32 bits of a.</summary>
sealed unsafe class Narrowed(int d, int a) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < 4; i++) Store(r + d, i, Vector256.Narrow(Load<ulong>(r + a, 2 * i), Load<ulong>(r + a, 2 * i + 1)), lanes);
    }
}

/// <summary>d = f(a), between rows of one width whose elements have different types.</summary>
sealed unsafe class Between<TFrom, TTo>(int d, int a, Func<Vector256<TFrom>, Vector256<TTo>> function) : Operation where TFrom : unmanaged where TTo : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < sizeof(TTo); i++) Store(r + d, i, function(Load<TFrom>(r + a, i)), lanes);
    }
}
