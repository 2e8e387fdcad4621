using System.Runtime.Intrinsics;

namespace SparseExperts.Cuda.Emulator.Execution;

delegate Vector256<T> UnaryFunction<T>(Vector256<T> a);
delegate Vector256<T> BinaryFunction<T>(Vector256<T> a, Vector256<T> b);
delegate Vector256<T> TernaryFunction<T>(Vector256<T> a, Vector256<T> b, Vector256<T> c);

/// <summary>d = f(a) for rows of one width, some lanes at a time.</summary>
sealed unsafe class Unary<T>(int d, int a, UnaryFunction<T> function) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < sizeof(T); i++) Store(r + d, i, function(Load<T>(r + a, i)), lanes);
    }
}

/// <summary>d = f(a, b).</summary>
sealed unsafe class Binary<T>(int d, int a, int b, BinaryFunction<T> function) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < sizeof(T); i++) Store(r + d, i, function(Load<T>(r + a, i), Load<T>(r + b, i)), lanes);
    }
}

/// <summary>d = f(a, b, c).</summary>
sealed unsafe class Ternary<T>(int d, int a, int b, int c, TernaryFunction<T> function) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < sizeof(T); i++) Store(r + d, i, function(Load<T>(r + a, i), Load<T>(r + b, i), Load<T>(r + c, i)), lanes);
    }
}

/// <summary>d = a.</summary>
sealed unsafe class Move<T>(int d, int a) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (var i = 0; i < sizeof(T); i++) Store(r + d, i, Load<T>(r + a, i), lanes);
    }
}

/// <summary>d = p ? a : b.</summary>
sealed unsafe class Select<T>(int d, int a, int b, int p) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var chosen = *(uint*)(r + p);
        for (var i = 0; i < sizeof(T); i++) Store(r + d, i, Vector256.ConditionalSelect(Part<T>(chosen, i), Load<T>(r + a, i), Load<T>(r + b, i)), lanes);
    }
}

/// <summary>Where results of comparisons go: p = result and q = not result, each joined with a predicate if there is one.</summary>
readonly record struct ComparisonTarget(int P, int Q, int With, bool NotWith, string Join)
{
    public unsafe void Store(byte* r, uint result, uint lanes)
    {
        var with = With < 0 ? 0 : NotWith ? ~*(uint*)(r + With) : *(uint*)(r + With);
        if (P >= 0) Put((uint*)(r + P), Joined(result, with), lanes);
        if (Q >= 0) Put((uint*)(r + Q), Joined(~result, with), lanes);
    }

    uint Joined(uint value, uint with) => Join switch { "and" => value & with, "or" => value | with, "xor" => value ^ with, _ => value };

    public static unsafe void Put(uint* p, uint value, uint lanes) => *p = (*p & ~lanes) | (value & lanes);
}

/// <summary>A predicate from a comparison of two rows.</summary>
sealed unsafe class Compare<T>(ComparisonTarget target, int a, int b, BinaryFunction<T> function) : Operation where T : unmanaged
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var result = 0u;
        for (var i = 0; i < sizeof(T); i++) result |= function(Load<T>(r + a, i), Load<T>(r + b, i)).ExtractMostSignificantBits() << (i * Vector256<T>.Count);
        target.Store(r, result, lanes);
    }
}

/// <summary>A predicate from predicates; all lanes at once.</summary>
sealed unsafe class Logic(int d, int a, int b, Func<uint, uint, uint> function) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        ComparisonTarget.Put((uint*)(r + d), function(*(uint*)(r + a), *(uint*)(r + b)), lanes);
    }
}
