using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void StepFactor(Matrix squares, Matrix loss, double clip, Matrix before, Matrix y)
    {
        Check.StepFactor(this, squares, loss, before, y);
        var lanes = stackalloc float[256];
        new Span<float>(lanes, 256).Clear();
        float* square = Pointer(squares), result = Pointer(y);
        for (var i = 0; i < squares.Rows; i++) lanes[i % 256] += square[i * squares.Stride];
        var groups = stackalloc float[16];
        for (var g = 0; g < 16; g++) groups[g] = VectorMath.Join(Vector512.Load(lanes + 16 * g));

        float norm = MathF.Sqrt(VectorMath.Join(Vector512.Load(groups))), itsLoss = *Pointer(loss), share = (float)clip / (norm + 1e-6f);
        var isTaken = float.IsFinite(norm) && float.IsFinite(itsLoss) && float.IsFinite(*Pointer(before)) && !_faults.IsSet;
        result[0] = !isTaken ? float.NaN : clip != 0 && share < 1 ? share : 1;
        result[1] = norm;
        result[2] = itsLoss;
    }

    /// <summary>Whether the step is left out; if not, what its gradient is multiplied by.</summary>
    static bool IsLeftOut(Matrix factor, out float scale) => !float.IsFinite(scale = *Pointer(factor));

    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, Matrix factor, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second, factor);
        if (IsLeftOut(factor, out var scale)) return;
        var flat = parameter.IsContiguous && gradient.IsContiguous && first.IsContiguous && second.IsContiguous;
        Workers.Run(flat ? checked((int)((parameter.Count + AdamWJob.RunLength - 1) / AdamWJob.RunLength)) : (parameter.Rows + 31) / 32, new AdamWJob
        {
            Flat = flat,
            P = Pointer(parameter),
            G = Pointer(gradient),
            M = Pointer(first),
            V = Pointer(second),
            StrideP = parameter.Stride,
            StrideG = gradient.Stride,
            StrideM = first.Stride,
            StrideV = second.Stride,
            Rows = parameter.Rows,
            Columns = parameter.Columns,
            Factor = scale,
            Step = step,
        });
    }

    struct AdamWJob : IJob
    {
        public float* P, G, M, V;
        public long StrideP, StrideG, StrideM, StrideV;
        public int Rows, Columns;
        public bool Flat;
        public float Factor;
        public AdamWStep Step;

        /// <summary>Elements a part where nothing lies between rows.</summary>
        public const int RunLength = 8192;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            if (Flat)
            {
                var start = (long)part * RunLength;
                Row(P + start, G + start, M + start, V + start, (int)Math.Min(RunLength, (long)Rows * Columns - start));
                return;
            }
            for (int row = part * 32, end = Math.Min(Rows, row + 32); row < end; row++)
                Row(P + row * StrideP, G + row * StrideG, M + row * StrideM, V + row * StrideV, Columns);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        readonly void Row(float* p, float* g, float* m, float* v, int columns)
        {
            var decay = VectorMath.Set((float)Step.Decay);
            var factor = VectorMath.Set(Factor);
            var keep2 = VectorMath.Set((float)Step.Beta2);
            var new1 = VectorMath.Set((float)(1 - Step.Beta1));
            var new2 = VectorMath.Set((float)(1 - Step.Beta2));
            var size = VectorMath.Set((float)-Step.StepSize);
            var root = VectorMath.Set((float)Step.RootCorrection2);
            var epsilon = VectorMath.Set((float)Step.Epsilon);
            for (var j = 0; j < columns; j += 16)
            {
                Vector512<float> grad = RowMath.Load(g, j, columns), first = RowMath.Load(m, j, columns);
                Vector512<float> second = RowMath.Load(v, j, columns), value = RowMath.Load(p, j, columns);
                grad = factor * grad;
                first = VectorMath.Fma(new1, grad - first, first);
                second = VectorMath.Fma(new2 * grad, grad, keep2 * second);
                value = VectorMath.Fma(size, first / (Vector512.Sqrt(second) / root + epsilon), decay * value);
                RowMath.Store(first, m, j, columns);
                RowMath.Store(second, v, j, columns);
                RowMath.Store(value, p, j, columns);
            }
        }
    }
}
