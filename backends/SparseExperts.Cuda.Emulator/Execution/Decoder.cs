using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>From statements to instructions. What is not known here is an error with file and line.</summary>
sealed partial class Decoder(PtxTokens tokens, PtxKernel kernel, PtxVariables variables, Dictionary<string, int> labels)
{
    PtxStatement _at = null!;

    public void Decode(IEnumerable<PtxStatement> statements)
    {
        foreach (var statement in statements)
        {
            _at = statement;
            try { kernel.Code.Add(Decode(statement)); }
            catch (NotSupportedException e) { throw Error(e.Message); }
            catch (IndexOutOfRangeException) { throw Error("operands are missing"); }
        }
        kernel.Code.Add(new(tokens.Line, Flow.Exit, null, -1, false, 0));
    }

    Instruction Decode(PtxStatement s)
    {
        var (flow, target, operation) = s.Parts[0] switch
        {
            "bra" => (Flow.Branch, Label(s.Operands[0]), null),
            "ret" or "exit" => (Flow.Exit, 0, null),
            "bar" or "barrier" => (Flow.Barrier, Barrier(s), null),
            "shfl" => (Flow.Meeting, 0, ShuffleOperation(s)),
            "vote" => (Flow.Meeting, 0, VoteOperation(s)),
            _ => (Flow.Next, 0, Plain(s)),
        };
        return new(s.Line, flow, operation, s.Guard?.Offset ?? -1, s.GuardNot, target);
    }

    Operation? Plain(PtxStatement s) => s.Parts[0] switch
    {
        "mov" => MoveOperation(s),
        "cvta" => AddressOperation(s),
        "ld" or "ldu" => LoadOperation(s),
        "st" => StoreOperation(s),
        "atom" or "red" => AtomicOperation(s),
        "membar" or "fence" => new Together((_, _) => { }),
        "trap" => new Together((warp, lanes) => throw warp.Fault(System.Numerics.BitOperations.TrailingZeroCount(lanes), "a trap: the kernel gave up")),
        "activemask" => Active(),
        "setp" => CompareOperation(s),
        "selp" => SelectOperation(s),
        "cvt" => ConvertOperation(s),
        "and" or "or" or "xor" or "not" => LogicOperation(s),
        _ => ArithmeticOperation(s) ?? throw Error(s.Has("approx")
            ? "an approximation, whose bits no one defines; use the operation that rounds (.rn)"
            : $"instruction {s.Opcode} is not known here"),
    };

    int Label(PtxOperand operand) => labels.TryGetValue(operand.Name, out var place) ? place : throw Error($"there is no label {operand.Name}");

    int Barrier(PtxStatement s)
    {
        if (s.Has("warp") || !s.Has("sync") || s.Operands is not [{ Kind: OperandKind.Immediate, Value: 0 }])
            throw Error("only barrier 0 of all threads (bar.sync 0) is known here");
        return 0;
    }

    Operation ShuffleOperation(PtxStatement s)
    {
        if (!s.Has("sync")) throw Error("a shuffle without .sync");
        var second = s.Operands[0].Items is [var q] ? q.Register.Offset : -1;
        return new Shuffle(s.Parts[2], Value(0, 4), second, Operand(1, 4), Row(2, 4), Row(3, 4), Row(4, 4));
    }

    Operation VoteOperation(PtxStatement s)
    {
        if (!s.Has("sync")) throw Error("a vote without .sync");
        return new Vote(s.Parts[2], s.Operands[0].Register, Predicate(1), false, Row(2, 4));
    }

    unsafe Operation Active()
    {
        var d = Value(0, 4).Offset;
        return new Together((warp, lanes) =>
        {
            for (var left = lanes; left != 0; left &= left - 1) ((uint*)(warp.Registers + d))[System.Numerics.BitOperations.TrailingZeroCount(left)] = lanes;
        });
    }

    CudaFault Error(string message) => tokens.Error(_at.Line, message);

    /// <summary>The register that operand <paramref name="i"/> writes; it has at least <paramref name="size"/> bytes.</summary>
    Register Value(int i, int size) => Value(_at.Operands[i], size);

    Register Value(PtxOperand operand, int size) => operand.Kind != OperandKind.Register || operand.Register.Size < size
        ? throw Error($"{operand.Name} is no register of {size} bytes")
        : operand.Register;

    /// <summary>The row that operand <paramref name="i"/> reads: a register, or one value in all lanes.</summary>
    Register Operand(int i, int size) => Operand(_at.Operands[i], size);

    Register Operand(PtxOperand operand, int size)
    {
        switch (operand.Kind)
        {
            case OperandKind.Register when operand.Register.Size == size: return operand.Register;
            case OperandKind.Immediate: return Constant((ulong)operand.Value, size);
            case OperandKind.Special when operand.Name == "WARP_SZ": return Constant(32, size);
            case OperandKind.Special when Block.IsSpecial(operand.Name):
                if (!kernel.Special.TryGetValue(operand.Name, out var special)) kernel.Special[operand.Name] = special = kernel.NewRegister(4);
                return special;
            case OperandKind.Symbol when variables.TryAddress(operand.Name, out var address): return Constant(address + (ulong)operand.Value, size);
            default: throw Error($"operand {operand.Name} is not known here, or has not {size} bytes");
        }
    }

    int Row(int i, int size) => Operand(i, size).Offset;

    Register Constant(ulong value, int size)
    {
        if (size < 8) value = size == 2 ? (ushort)value : (uint)value;
        if (!kernel.Constants.TryGetValue((value, size), out var row)) kernel.Constants[(value, size)] = row = kernel.NewRegister(size);
        return row;
    }

    int Predicate(int i) => _at.Operands[i] switch
    {
        { Kind: OperandKind.Register, Register.Size: 0 } p => p.Register.Offset,
        { Kind: OperandKind.Immediate } p => kernel.Flag(p.Value != 0).Offset,
        var p => throw Error($"{p.Name} is no predicate"),
    };
}
