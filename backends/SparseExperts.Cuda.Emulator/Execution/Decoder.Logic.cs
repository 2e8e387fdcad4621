using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>setp, selp and the logic of bits and predicates.</summary>
sealed partial class Decoder
{
    Operation CompareOperation(PtxStatement s)
    {
        var d = s.Operands[0];
        var join = s.Parts.FirstOrDefault(p => p is "and" or "or" or "xor", "");
        var target = new ComparisonTarget(
            d.Kind == OperandKind.Discarded ? -1 : Predicate(0), d.Items is [{ Kind: OperandKind.Register } q] ? q.Register.Offset : -1,
            join.Length > 0 ? Predicate(3) : -1, false, join);
        var comparison = s.Parts[1];
        switch (s.Type)
        {
            case "f32": return Compared<float>(target, comparison, 4);
            case "f64": return Compared<double>(target, comparison, 8);
            case "s32": return Compared<int>(target, comparison, 4);
            case "u32" or "b32": return Compared<uint>(target, comparison, 4);
            case "s64": return Compared<long>(target, comparison, 8);
            case "u64" or "b64": return Compared<ulong>(target, comparison, 8);
            case "u16" or "b16": return Compared<uint>(target, comparison, 2);
            case "s16":
                Func<long, long, bool> compare = comparison switch
                {
                    "eq" => static (a, b) => a == b,
                    "ne" => static (a, b) => a != b,
                    "lt" => static (a, b) => a < b,
                    "le" => static (a, b) => a <= b,
                    "gt" => static (a, b) => a > b,
                    "ge" => static (a, b) => a >= b,
                    _ => throw Error($"comparison {comparison} is not known here"),
                };
                return new CompareLanes(target, Operand(1, 2), Operand(2, 2), (a, b) => compare((short)a, (short)b));
            default: throw Error($"a comparison of {s.Type}");
        }
    }

    Operation Compared<T>(ComparisonTarget target, string comparison, int size) where T : unmanaged =>
        new Compare<T>(target, Row(1, size), Row(2, size), Comparison<T>(comparison));

    BinaryFunction<T> Comparison<T>(string name) where T : unmanaged => name switch
    {
        "eq" => static (a, b) => Vector256.Equals(a, b),
        "ne" => static (a, b) => Vector256.AndNot(Vector256.Equals(a, a) & Vector256.Equals(b, b), Vector256.Equals(a, b)),
        "lt" or "lo" => static (a, b) => Vector256.LessThan(a, b),
        "le" or "ls" => static (a, b) => Vector256.LessThanOrEqual(a, b),
        "gt" or "hi" => static (a, b) => Vector256.GreaterThan(a, b),
        "ge" or "hs" => static (a, b) => Vector256.GreaterThanOrEqual(a, b),
        "equ" => static (a, b) => ~(Vector256.LessThan(a, b) | Vector256.GreaterThan(a, b)),
        "neu" => static (a, b) => ~Vector256.Equals(a, b),
        "ltu" => static (a, b) => ~Vector256.GreaterThanOrEqual(a, b),
        "leu" => static (a, b) => ~Vector256.GreaterThan(a, b),
        "gtu" => static (a, b) => ~Vector256.LessThanOrEqual(a, b),
        "geu" => static (a, b) => ~Vector256.LessThan(a, b),
        "num" => static (a, b) => Vector256.Equals(a, a) & Vector256.Equals(b, b),
        "nan" => static (a, b) => ~(Vector256.Equals(a, a) & Vector256.Equals(b, b)),
        _ => throw Error($"comparison {name} is not known here"),
    };

    Operation SelectOperation(PtxStatement s)
    {
        var size = PtxTypes.Size(s.Type);
        var (d, a, b, p) = (Value(0, size).Offset, Row(1, size), Row(2, size), Predicate(3));
        return size == 8 ? new Select<ulong>(d, a, b, p) : new Select<uint>(d, a, b, p);
    }

    Operation LogicOperation(PtxStatement s)
    {
        var (size, name) = (PtxTypes.Size(s.Type), s.Parts[0]);
        if (size == 0)
        {
            return new Logic(Value(0, 0).Offset, Predicate(1), name == "not" ? Predicate(1) : Predicate(2), name switch
            {
                "and" => static (a, b) => a & b,
                "or" => static (a, b) => a | b,
                "xor" => static (a, b) => a ^ b,
                _ => static (a, _) => ~a,
            });
        }
        var (d, x) = (Value(0, size).Offset, Row(1, size));
        if (name == "not") return size switch
        {
            8 => new Unary<ulong>(d, x, static a => ~a),
            4 => new Unary<uint>(d, x, static a => ~a),
            _ => new Unary<uint>(d, x, static a => ~a & Vector256.Create(0xffffu)),
        };
        return size == 8 ? Bits<ulong>(name, d, x, Row(2, 8)) : Bits<uint>(name, d, x, Row(2, size));
    }

    static Binary<T> Bits<T>(string name, int d, int a, int b) where T : unmanaged => new(d, a, b, name switch
    {
        "and" => static (x, y) => x & y,
        "or" => static (x, y) => x | y,
        _ => static (x, y) => x ^ y,
    });
}
