using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Ptx;

namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>Float arithmetic; every operation that rounds says so (.rn), or the driver might fuse it with another.</summary>
sealed partial class Decoder
{
    const string Sum = "add", Difference = "sub", Product = "mul", Quotient = "div", Fused = "fma", Root = "sqrt", Reciprocal = "rcp";

    Operation? FloatOperation(PtxStatement s)
    {
        if (s.Has("approx") || s.Has("full")) return null;
        if (s.Has("ftz") || s.Has("sat") || s.Has("rz") || s.Has("rm") || s.Has("rp")) throw Error("a rounding or flushing that is not known here");
        var name = s.Parts[0];
        if (name is Sum or Difference or Product or Quotient or Fused or Root or Reciprocal && !s.Has("rn"))
            throw Error("a float operation without a rounding, which the driver may fuse; write .rn");
        return s.Type switch { "f32" => Single(name), "f64" => Double(name), _ => null };
    }

    Operation? Single(string name) => name switch
    {
        Sum => Two<float>(4, static (a, b) => Floats.Plain(a + b)),
        Difference => Two<float>(4, static (a, b) => Floats.Plain(a - b)),
        Product => Two<float>(4, static (a, b) => Floats.Plain(a * b)),
        Quotient => Two<float>(4, static (a, b) => Floats.Plain(a / b)),
        Fused => Three<float>(4, static (a, b, c) => Floats.Plain(Vector256.FusedMultiplyAdd(a, b, c))),
        Root => One<float>(4, static a => Floats.Plain(Vector256.Sqrt(a))),
        Reciprocal => One<float>(4, static a => Floats.Plain(Vector256<float>.One / a)),
        "neg" => One<float>(4, static a => Vector256.Xor(a, Vector256.Create(-0f))),
        "abs" => One<float>(4, static a => Vector256.Abs(a)),
        "min" => Two<float>(4, static (a, b) => Floats.Plain(Vector256.MinNumber(a, b))),
        "max" => Two<float>(4, static (a, b) => Floats.Plain(Vector256.MaxNumber(a, b))),
        "copysign" => Two<float>(4, static (a, b) => Vector256.CopySign(b, a)),
        _ => null,
    };

    Operation? Double(string name) => name switch
    {
        Sum => Two<double>(8, static (a, b) => a + b),
        Difference => Two<double>(8, static (a, b) => a - b),
        Product => Two<double>(8, static (a, b) => a * b),
        Quotient => Two<double>(8, static (a, b) => a / b),
        Fused => Three<double>(8, static (a, b, c) => Vector256.FusedMultiplyAdd(a, b, c)),
        Root => One<double>(8, static a => Vector256.Sqrt(a)),
        Reciprocal => One<double>(8, static a => Vector256<double>.One / a),
        "neg" => One<double>(8, static a => Vector256.Xor(a, Vector256.Create(-0.0))),
        "abs" => One<double>(8, static a => Vector256.Abs(a)),
        "min" => Two<double>(8, static (a, b) => Vector256.MinNumber(a, b)),
        "max" => Two<double>(8, static (a, b) => Vector256.MaxNumber(a, b)),
        "copysign" => Two<double>(8, static (a, b) => Vector256.CopySign(b, a)),
        _ => null,
    };
}
