using System.Numerics;
using System.Runtime.InteropServices;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Where a warp's turn ended.</summary>
enum WarpOutcome { Done, AtBarrier }

/// <summary>
/// 32 threads. Lanes that are at the same instruction form a group; the group that is farthest back runs, so that groups find together again. A group
/// can wait for the block (at a barrier) or for other lanes (at a shuffle).
/// </summary>
sealed unsafe class Warp : IDisposable
{
    enum Wait { None, Barrier, Meeting }

    readonly record struct Group(int Place, uint Lanes, Wait Wait);

    public readonly Block Block;
    public readonly int Number;
    public readonly byte* Registers;

    /// <summary>The lanes that there are, and those that have not ended.</summary>
    public readonly uint Lanes;
    public uint Alive { get; private set; }

    /// <summary>Lanes take turns in the order i xor this.</summary>
    public int Turn { get; private set; }

    readonly Instruction[] _code;
    readonly Group[] _groups = new Group[32];
    int _count, _place;
    long _steps;

    public Warp(Block block, int number, int threads)
    {
        (Block, Number) = (block, number);
        _code = block.Code;
        Lanes = threads >= 32 ? Operation.AllLanes : (1u << threads) - 1;
        Registers = (byte*)NativeMemory.AlignedAlloc((nuint)block.Kernel.RegisterBytes + 64, 64);
        NativeMemory.Clear(Registers, (nuint)block.Kernel.RegisterBytes + 64);
        foreach (var ((value, size), register) in block.Kernel.Constants) Fill(register, value, size);
        foreach (var (name, register) in block.Kernel.Special)
            for (var lane = 0; lane < 32; lane++) ((uint*)(Registers + register.Offset))[lane] = block.Special(name, Thread(lane));
    }

    public int Thread(int lane) => 32 * Number + lane;

    public void Begin(int turn)
    {
        (Alive, Turn, _steps) = (Lanes, turn, 0);
        _count = 0;
        Add(0, Lanes, Wait.None);
        foreach (var (name, register) in Block.Kernel.Special)
            if (Block.IsOfTheBlock(name)) Fill(register, Block.Special(name, Thread(0)), sizeof(uint));
    }

    /// <summary>Runs until every lane has ended or waits for the block.</summary>
    public WarpOutcome Run()
    {
        while (TakeLast(out var place, out var lanes, out var next)) Run(place, lanes, next);
        for (var i = 0; i < _count; i++)
            if (_groups[i].Wait == Wait.Meeting) throw NeverMet(_groups[i]);
        return _count == 0 ? WarpOutcome.Done : WarpOutcome.AtBarrier;
    }

    /// <summary>The instruction at which a lane waits, and one lane that waits there.</summary>
    public (int Place, int Lane) Waiting => (_groups[0].Place, BitOperations.TrailingZeroCount(_groups[0].Lanes));

    /// <summary>Every lane that waits does so at one instruction.</summary>
    public bool WaitsTogether => _count == 1;

    /// <summary>The instructions at which lanes wait.</summary>
    public IEnumerable<int> Places => _groups.Take(_count).Select(g => g.Place);

    /// <summary>The block's barrier is passed.</summary>
    public void Release()
    {
        for (var i = 0; i < _count; i++) _groups[i] = new(_groups[i].Place + 1, _groups[i].Lanes, Wait.None);
    }

    /// <summary>A fault of a lane at the instruction that runs.</summary>
    public CudaFault Fault(int lane, string message) => Block.Fault(Thread(lane), _place, message);

    public CudaFault Fault(int place, int lane, string message) => Block.Fault(Thread(lane), place, message);

    public void Dispose() => NativeMemory.AlignedFree(Registers);

    void Run(int place, uint lanes, int next)
    {
        while (place < next)
        {
            var instruction = _code[_place = place];
            if (++_steps > Block.MaxSteps)
                throw Fault(BitOperations.TrailingZeroCount(lanes), $"more than {Block.MaxSteps} instructions in one thread; does a loop never end?");
            var active = lanes;
            if (instruction.Guard >= 0)
            {
                var guard = *(uint*)(Registers + instruction.Guard);
                active &= instruction.GuardNot ? ~guard : guard;
            }
            Block.Instructions += BitOperations.PopCount(active);
            if (active == 0) { place++; continue; }
            if (instruction.Flow == Flow.Next) { instruction.Operation!.Run(this, active); place++; continue; }
            if (instruction.Flow == Flow.Branch && active == lanes) { place = instruction.Target; continue; }
            if (active != lanes) Add(place + 1, lanes & ~active, Wait.None);
            switch (instruction.Flow)
            {
                case Flow.Branch: Add(instruction.Target, active, Wait.None); return;
                case Flow.Exit: Alive &= ~active; return;
                case Flow.Barrier: Add(place, active, Wait.Barrier); return;
                case Flow.Meeting: MeetAt(place, active, (MeetingOperation)instruction.Operation!); return;
            }
        }
        Add(place, lanes, Wait.None);
    }

    /// <summary>Lanes arrive at an instruction that waits for the lanes that it names.</summary>
    void MeetAt(int place, uint lanes, MeetingOperation operation)
    {
        for (var i = _count - 1; i >= 0; i--)
            if (_groups[i] is { Wait: Wait.Meeting } there && there.Place == place) { lanes |= there.Lanes; Remove(i); }
        var missing = Named(lanes, operation) & ~lanes;
        if (missing == 0)
        {
            operation.Run(this, lanes);
            Add(place + 1, lanes, Wait.None);
        }
        else if ((missing & ~Alive) != 0)
        {
            var lane = BitOperations.TrailingZeroCount(missing & ~Alive);
            var why = (Lanes >> lane & 1) == 0 ? "does not exist" : "has ended";
            throw Fault(BitOperations.TrailingZeroCount(lanes), $"the mask names lane {lane}, which {why}");
        }
        else
            Add(place, lanes, Wait.Meeting);
    }

    uint Named(uint lanes, MeetingOperation operation)
    {
        var named = 0u;
        for (var left = lanes; left != 0; left &= left - 1)
        {
            var lane = BitOperations.TrailingZeroCount(left);
            var mask = ((uint*)(Registers + operation.Mask))[lane];
            if ((mask >> lane & 1) == 0) throw Fault(lane, $"the mask 0x{mask:x8} does not name the lane itself, {lane}");
            named |= mask;
        }
        return named;
    }

    CudaFault NeverMet(Group group)
    {
        var missing = Named(group.Lanes, (MeetingOperation)_code[group.Place].Operation!) & ~group.Lanes;
        var lane = BitOperations.TrailingZeroCount(missing);
        var where = "has ended";
        for (var i = 0; i < _count; i++)
            if ((_groups[i].Lanes >> lane & 1) != 0) where = $"waits at line {_code[_groups[i].Place].Line}";
        return Fault(group.Place, BitOperations.TrailingZeroCount(group.Lanes), $"the mask names lane {lane}, which never comes: it {where}");
    }

    void Add(int place, uint lanes, Wait wait)
    {
        for (var i = 0; i < _count; i++)
            if (_groups[i].Place == place && _groups[i].Wait == wait) { _groups[i] = new(place, _groups[i].Lanes | lanes, wait); return; }
        _groups[_count++] = new(place, lanes, wait);
    }

    void Remove(int i) => _groups[i] = _groups[--_count];

    /// <summary>Takes the group that is farthest back and can run; <paramref name="next"/> is where the next one is.</summary>
    bool TakeLast(out int place, out uint lanes, out int next)
    {
        var last = -1;
        next = int.MaxValue;
        for (var i = 0; i < _count; i++)
        {
            if (_groups[i].Wait != Wait.None) continue;
            if (last < 0 || _groups[i].Place < _groups[last].Place)
            {
                if (last >= 0) next = _groups[last].Place;
                last = i;
            }
            else
                next = Math.Min(next, _groups[i].Place);
        }
        (place, lanes) = last < 0 ? (0, 0u) : (_groups[last].Place, _groups[last].Lanes);
        if (last >= 0) Remove(last);
        return last >= 0;
    }

    void Fill(Register register, ulong value, int size)
    {
        for (var lane = 0; lane < 32; lane++)
        {
            if (size == 8) ((ulong*)(Registers + register.Offset))[lane] = value;
            else ((uint*)(Registers + register.Offset))[lane] = (uint)value;
        }
    }
}
