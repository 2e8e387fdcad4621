using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void AdamW(Matrix parameter, Matrix gradient, Matrix first, Matrix second, in AdamWStep step)
    {
        Check.AdamW(this, parameter, gradient, first, second);
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
            Step = step,
        });
    }

    struct AdamWJob : IJob
    {
        public float* P, G, M, V;
        public long StrideP, StrideG, StrideM, StrideV;
        public int Rows, Columns;
        public bool Flat;
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
            Vector512<float> decay = VectorMath.Set((float)Step.Decay), factor = VectorMath.Set((float)Step.Factor), keep2 = VectorMath.Set((float)Step.Beta2);
            Vector512<float> new1 = VectorMath.Set((float)(1 - Step.Beta1)), new2 = VectorMath.Set((float)(1 - Step.Beta2)), size = VectorMath.Set((float)-Step.StepSize);
            Vector512<float> root = VectorMath.Set((float)Step.RootCorrection2), epsilon = VectorMath.Set((float)Step.Epsilon);
            for (var j = 0; j < columns; j += 16)
            {
                var rest = columns - j;
                Vector512<float> grad, first, second, value;
                if (rest >= 16) (grad, first, second, value) = (Vector512.Load(g + j), Vector512.Load(m + j), Vector512.Load(v + j), Vector512.Load(p + j));
                else (grad, first, second, value) = (VectorMath.Load(g + j, rest), VectorMath.Load(m + j, rest), VectorMath.Load(v + j, rest), VectorMath.Load(p + j, rest));
                grad = factor * grad;
                first = VectorMath.Fma(new1, grad - first, first);
                second = VectorMath.Fma(new2 * grad, grad, keep2 * second);
                value = VectorMath.Fma(size, first / (Vector512.Sqrt(second) / root + epsilon), decay * value);
                if (rest >= 16) { first.Store(m + j); second.Store(v + j); value.Store(p + j); }
                else { VectorMath.Store(first, m + j, rest); VectorMath.Store(second, v + j, rest); VectorMath.Store(value, p + j, rest); }
            }
        }
    }
}
