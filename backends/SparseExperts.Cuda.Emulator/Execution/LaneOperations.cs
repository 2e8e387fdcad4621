using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>d = f(a) lane by lane, for rows of any widths.</summary>
sealed unsafe class Lanes1(Register d, Register a, Func<ulong, ulong> function) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            var lane = Lowest(lanes);
            Put(r + d.Offset, d.Size, lane, function(Get(r + a.Offset, a.Size, lane)));
        }
    }
}

/// <summary>d = f(a, b) lane by lane. A function that answers null has no result there, which is a fault.</summary>
sealed unsafe class Lanes2(Register d, Register a, Register b, Func<ulong, ulong, ulong> function, bool division = false) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            var lane = Lowest(lanes);
            var right = Get(r + b.Offset, b.Size, lane);
            if (division && right == 0) throw warp.Fault(lane, "an integer division by zero");
            Put(r + d.Offset, d.Size, lane, function(Get(r + a.Offset, a.Size, lane), right));
        }
    }
}

/// <summary>d = f(a, b, c) lane by lane.</summary>
sealed unsafe class Lanes3(Register d, Register a, Register b, Register c, Func<ulong, ulong, ulong, ulong> function) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        for (; lanes != 0; lanes &= lanes - 1)
        {
            var lane = Lowest(lanes);
            Put(r + d.Offset, d.Size, lane, function(Get(r + a.Offset, a.Size, lane), Get(r + b.Offset, b.Size, lane), Get(r + c.Offset, c.Size, lane)));
        }
    }
}

/// <summary>A predicate from a comparison lane by lane.</summary>
sealed unsafe class CompareLanes(ComparisonTarget target, Register a, Register b, Func<ulong, ulong, bool> function) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var result = 0u;
        for (var left = lanes; left != 0; left &= left - 1)
        {
            var lane = Lowest(left);
            if (function(Get(r + a.Offset, a.Size, lane), Get(r + b.Offset, b.Size, lane))) result |= 1u << lane;
        }
        target.Store(r, result, lanes);
    }
}

/// <summary>Whatever else is done lane by lane.</summary>
sealed class EachLane(Action<Warp, int> action) : Operation
{
    public override void Run(Warp warp, uint lanes)
    {
        for (; lanes != 0; lanes &= lanes - 1) action(warp, Lowest(lanes));
    }
}

/// <summary>Whatever is done once for all lanes that take part.</summary>
sealed class Together(Action<Warp, uint> action) : Operation
{
    public override void Run(Warp warp, uint lanes) => action(warp, lanes);
}
