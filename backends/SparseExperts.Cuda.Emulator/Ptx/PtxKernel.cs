using SparseExperts.Cuda.Emulator.Execution;

namespace SparseExperts.Cuda.Emulator.Ptx;

/// <summary>
/// Where a register's lanes lie in a warp's register file. Predicates (size 0) are one word with a bit a lane; values have a row of 32 words or long words.
/// </summary>
readonly record struct Register(int Offset, int Size)
{
    /// <summary>Bytes from one lane's value to the next one's.</summary>
    public int Stride => Size == 8 ? 8 : 4;
}

/// <summary>A kernel parameter as declared: its type and its place among the parameters.</summary>
sealed record PtxParameter(string Name, string Type, int Offset, int Size);

/// <summary>An array of shared memory. <see cref="Bytes"/> is -1 where the launch says the size.</summary>
sealed record SharedArray(string Name, int Index, int Bytes, int Alignment);

/// <summary>What follows an instruction.</summary>
enum Flow { Next, Branch, Exit, Barrier, Meeting }

/// <summary>A decoded instruction. <see cref="Guard"/> is the place of its predicate or -1.</summary>
sealed record Instruction(int Line, Flow Flow, Operation? Operation, int Guard, bool GuardNot, int Target);

/// <summary>A kernel ready to run.</summary>
sealed class PtxKernel(string file, string name)
{
    public string File => file;
    public string Name => name;
    public List<PtxParameter> Parameters { get; } = [];
    public List<SharedArray> Shared { get; } = [];
    public List<Instruction> Code { get; } = [];

    /// <summary>Special registers in use and their rows.</summary>
    public Dictionary<string, Register> Special { get; } = [];

    /// <summary>Rows that hold one value in every lane.</summary>
    public Dictionary<(ulong Value, int Size), Register> Constants { get; } = [];

    /// <summary>A predicate that is true, or false, in every lane.</summary>
    public Register Flag(bool value)
    {
        var key = (value ? uint.MaxValue : 0UL, 0);
        if (!Constants.TryGetValue(key, out var row)) Constants[key] = row = NewRegister(4) with { Size = 0 };
        return row;
    }

    public int ParameterBytes { get; set; }
    public int RegisterBytes { get; set; }
    public int LocalBytes { get; set; }
    public int MaxThreads { get; set; } = 1024;
    public required Func<int, string> Source { get; init; }

    public int StaticSharedBytes => Shared.Aggregate(0, (end, array) => array.Bytes < 0 ? end : RoundUp(end, array.Alignment) + array.Bytes);

    public static int RoundUp(int value, int to) => (value + to - 1) / to * to;

    /// <summary>A new register: rows start at multiples of 64 bytes.</summary>
    public Register NewRegister(int size)
    {
        var register = new Register(RegisterBytes, size);
        RegisterBytes += size switch { 0 => 64, 8 => 256, _ => 128 };
        return register;
    }
}

/// <summary>A file of PTX: its kernels by name.</summary>
sealed record PtxModule(string File, Dictionary<string, PtxKernel> Kernels);
