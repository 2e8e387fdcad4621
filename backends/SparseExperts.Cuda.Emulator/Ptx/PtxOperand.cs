namespace SparseExperts.Cuda.Emulator.Ptx;

enum OperandKind { Register, Immediate, Special, Symbol, Memory, Vector, Discarded }

/// <summary>
/// An operand. An immediate has its bits in <see cref="Value"/>, a symbol and a memory operand the bytes that are added; a memory operand has its base in
/// <see cref="Items"/>, a vector its elements, and a predicate pair <c>%p|%q</c> is a register with the second one there.
/// </summary>
sealed record PtxOperand(OperandKind Kind, string Name, Register Register = default, long Value = 0, PtxOperand[]? Items = null);

/// <summary>An instruction as it is written: <c>setp.lt.s32</c> has the parts setp, lt and s32.</summary>
sealed record PtxStatement(int Line, string Opcode, PtxOperand[] Operands, Register? Guard, bool GuardNot)
{
    public string[] Parts { get; } = Opcode.Split('.', StringSplitOptions.RemoveEmptyEntries);
    public string Type => Parts[^1];
    public bool Has(string part) => Array.IndexOf(Parts, part) > 0;
}
