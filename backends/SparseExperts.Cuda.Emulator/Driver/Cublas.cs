using System.Runtime.Intrinsics;
using SparseExperts.Cuda.Emulator.Memory;

namespace SparseExperts.Cuda.Emulator;

/// <summary>
/// Products as cuBLAS is asked for them. Every element is one chain of fused multiply-adds over k in ascending order, which cuBLAS does not promise;
/// operands are rounded first where the precision says so.
/// </summary>
sealed unsafe class Cublas(DeviceMemory memory)
{
    /// <summary>Sizes and leading dimensions, as cuBLAS checks them.</summary>
    public static void Check(in GemmCall call)
    {
        if (call.M < 0 || call.N < 0 || call.K < 0) throw new CudaFault($"Gemm: a product of {call.M}×{call.K} and {call.K}×{call.N}");
        Leading("A", call.LeadingA, call.TransposeA ? call.K : call.M);
        Leading("B", call.LeadingB, call.TransposeB ? call.N : call.K);
        Leading("C", call.LeadingC, call.M);
    }

    public void Run(in GemmCall call)
    {
        var (m, n, k) = (call.M, call.N, call.K);
        if (m == 0 || n == 0) return;
        var a = Operand("A", call.A, call.LeadingA, call.TransposeA, m, k, call.Precision);
        var b = Operand("B", call.B, call.LeadingB, call.TransposeB, k, n, call.Precision);
        var region = memory.Find(call.C.Address, 4 * ((long)(n - 1) * call.LeadingC + m), "Gemm, C", out var offset);
        var sums = new float[m];
        for (var j = 0; j < n; j++)
        {
            Array.Clear(sums);
            for (var p = 0; p < k; p++) Accumulate(a.AsSpan(p * m, m), b[j * k + p], sums);
            var at = offset + 4L * j * call.LeadingC;
            if (call.Beta != 0 && region.FirstUnwritten(at, 4L * m) >= 0)
                throw new CudaFault($"Gemm: C, column {j}, in {region.Name} was never written, and beta is {call.Beta}");
            var c = (float*)(region.Data + at);
            for (var i = 0; i < m; i++) c[i] = call.Beta == 0 ? call.Alpha * sums[i] : MathF.FusedMultiplyAdd(call.Beta, c[i], call.Alpha * sums[i]);
            region.MarkWritten(at, 4L * m);
        }
    }

    /// <summary>Products of one shape whose addresses stand in tables.</summary>
    public void RunBatch(in GemmCall call, int count)
    {
        var (a, b, c) = (Addresses("A", call.A, count), Addresses("B", call.B, count), Addresses("C", call.C, count));
        for (var i = 0; i < count; i++) Run(call with { A = a[i], B = b[i], C = c[i] });
    }

    DevicePointer[] Addresses(string name, DevicePointer table, int count)
    {
        var region = memory.Find(table.Address, sizeof(ulong) * (long)count, $"GemmBatched, addresses of {name}", out var offset);
        if ((offset & 7) != 0) throw new CudaFault($"GemmBatched, addresses of {name}: byte {offset} of {region.Name} is not the start of an address");
        if (region.FirstUnwritten(offset, sizeof(ulong) * (long)count) is >= 0 and var word)
            throw new CudaFault($"GemmBatched, addresses of {name}: word {word} of {region.Name} was never written");
        return new ReadOnlySpan<DevicePointer>(region.Data + offset, count).ToArray();
    }

    /// <summary>sums += column · factor.</summary>
    static void Accumulate(ReadOnlySpan<float> column, float factor, Span<float> sums)
    {
        var (i, wide) = (0, Vector256.Create(factor));
        for (; i <= sums.Length - 8; i += 8)
            Vector256.FusedMultiplyAdd(Vector256.Create(column[i..]), wide, Vector256.Create<float>(sums[i..])).CopyTo(sums[i..]);
        for (; i < sums.Length; i++) sums[i] = MathF.FusedMultiplyAdd(column[i], factor, sums[i]);
    }

    /// <summary>An operand as rows × columns in column-major order without gaps.</summary>
    float[] Operand(string name, DevicePointer pointer, int leading, bool transpose, int rows, int columns, ProductPrecision precision)
    {
        if (rows == 0 || columns == 0) return [];
        var (inner, outer) = transpose ? (columns, rows) : (rows, columns);
        var region = memory.Find(pointer.Address, 4 * ((long)(outer - 1) * leading + inner), $"Gemm, {name}", out var offset);
        if ((offset & 3) != 0) throw new CudaFault($"Gemm, {name}: byte {offset} of {region.Name} is not the start of a word");
        var result = new float[rows * columns];
        for (var o = 0; o < outer; o++)
        {
            var at = offset + 4L * o * leading;
            if (region.FirstUnwritten(at, 4L * inner) is >= 0 and var word)
                throw new CudaFault($"Gemm, {name}: word {word} of {region.Name} was never written");
            var from = (float*)(region.Data + at);
            for (var i = 0; i < inner; i++) result[transpose ? i * rows + o : o * rows + i] = Rounded(from[i], precision);
        }
        return result;
    }

    /// <summary>To the nearest float with 10 or 7 bits of fraction, ties to even.</summary>
    static float Rounded(float value, ProductPrecision precision)
    {
        if (precision == ProductPrecision.Float32 || !float.IsFinite(value)) return value;
        var dropped = precision == ProductPrecision.Tf32 ? 13 : 16;
        var bits = BitConverter.SingleToUInt32Bits(value);
        bits += (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
        return BitConverter.UInt32BitsToSingle(bits & ~((1u << dropped) - 1));
    }

    static void Leading(string name, int leading, int rows)
    {
        if (leading < Math.Max(1, rows)) throw new CudaFault($"Gemm: the leading dimension of {name} is {leading}, but its columns have {rows} elements");
    }
}
