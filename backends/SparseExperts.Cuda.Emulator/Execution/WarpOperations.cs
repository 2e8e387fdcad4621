using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>An operation for which lanes wait for each other: each lane names in <see cref="Mask"/> whom it waits for.</summary>
abstract class MeetingOperation(int mask) : Operation
{
    public int Mask => mask;
}

/// <summary>Every lane gets the value of another one. A lane that asks for one out of its segment gets its own.</summary>
sealed unsafe class Shuffle(string mode, Register d, int p, Register a, int b, int c, int mask) : MeetingOperation(mask)
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var values = stackalloc uint[32];
        var found = 0u;
        for (var left = lanes; left != 0; left &= left - 1)
        {
            var lane = Lowest(left);
            int distance = (int)(((uint*)(r + b))[lane] & 31), clamp = (int)((uint*)(r + c))[lane];
            int segment = (clamp >> 8) & 31, max = (lane & segment) | (clamp & 31 & ~segment), min = lane & segment;
            var (from, inside) = mode switch
            {
                "up" => (lane - distance, lane - distance >= max),
                "down" => (lane + distance, lane + distance <= max),
                "bfly" => (lane ^ distance, (lane ^ distance) <= max),
                _ => (min | (distance & ~segment), (min | (distance & ~segment)) <= max),
            };
            if (!inside) from = lane;
            else found |= 1u << lane;
            if ((lanes >> from & 1) == 0) throw warp.Fault(lane, $"shuffles from lane {from}, which takes no part");
            values[lane] = ((uint*)(r + a.Offset))[from];
        }
        for (var left = lanes; left != 0; left &= left - 1) ((uint*)(r + d.Offset))[Lowest(left)] = values[Lowest(left)];
        if (p >= 0) ComparisonTarget.Put((uint*)(r + p), found, lanes);
    }
}

/// <summary>All lanes that a lane names vote by a predicate: its bits, or whether all, any or equally many agree.</summary>
sealed unsafe class Vote(string mode, Register d, int p, bool not, int mask) : MeetingOperation(mask)
{
    public override void Run(Warp warp, uint lanes)
    {
        var r = warp.Registers;
        var votes = not ? ~*(uint*)(r + p) : *(uint*)(r + p);
        var result = 0u;
        for (var left = lanes; left != 0; left &= left - 1)
        {
            var lane = Lowest(left);
            var named = ((uint*)(r + Mask))[lane];
            var yes = votes & named;
            if (mode == "ballot") ((uint*)(r + d.Offset))[lane] = yes;
            else if (mode switch { "all" => yes == named, "any" => yes != 0, _ => yes == named || yes == 0 }) result |= 1u << lane;
        }
        if (mode != "ballot") ComparisonTarget.Put((uint*)(r + d.Offset), result, lanes);
    }
}
