using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void Dropout(Matrix x, double rate, in RandomWords words, Indices? rows, Matrix y, bool accumulate)
    {
        Check.Dropout(this, x, rate, words, rows, y);
        var perPart = Math.Max(1, DropoutJob.PartLength / Math.Max(1, x.Columns));
        Workers.Run((x.Rows + perPart - 1) / perPart, new DropoutJob
        {
            Count = x.Rows,
            PerPart = perPart,
            X = Pointer(x),
            Y = Pointer(y),
            StrideX = x.Stride,
            StrideY = y.Stride,
            Columns = x.Columns,
            Rate = rate,
            Words = words,
            Rows = rows is { } indices ? PointerTo(indices) : null,
            Accumulate = accumulate,
        });
    }

    struct DropoutJob : IJob
    {
        public const int PartLength = 8192;

        public float* X, Y;
        public int Count, PerPart;
        public long StrideX, StrideY;
        public int Columns;
        public double Rate;
        public RandomWords Words;
        public int* Rows;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            var words = stackalloc uint[PhiloxVector.Words];
            for (var row = part * PerPart; row < Math.Min((part + 1) * PerPart, Count); row++) DropRow(row, words);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        readonly void DropRow(int row, uint* words)
        {
            float* x = X + row * StrideX, y = Y + row * StrideY;
            var keep = (float)(1 / (1 - Rate));
            var least = (uint)Math.Ceiling(Rate * 16777216);                 // uniform ≥ rate: the word's upper 24 bits are at least that
            var place = Rows == null ? row : Rows[row];
            if (place < 0)
            {
                for (var j = 0; j < Columns; j++) y[j] = Accumulate ? y[j] + 0f : 0f;
                return;
            }
            var word = (ulong)(Words.Offset + place * Words.RowStride);
            for (var j = 0; j < Columns;)
            {
                var inside = (int)(word % PhiloxVector.Words);
                PhiloxVector.Fill(Words.Stream, (word - (ulong)inside) / 4, words);
                var count = Math.Min(PhiloxVector.Words - inside, Columns - j);
                var i = 0;
                for (; i + 16 <= count; i += 16)
                {
                    var drawn = Vector512.ShiftRightLogical(Vector512.Load(words + inside + i), 8);
                    var kept = Vector512.GreaterThanOrEqual(drawn, Vector512.Create(least)).AsSingle();
                    var value = VectorMath.Pick(kept, Vector512.Load(x + j + i) * VectorMath.Set(keep), Vector512<float>.Zero);
                    (Accumulate ? Vector512.Load(y + j + i) + value : value).Store(y + j + i);
                }
                for (; i < count; i++)
                {
                    var value = words[inside + i] >> 8 >= least ? x[j + i] * keep : 0f;
                    y[j + i] = Accumulate ? y[j + i] + value : value;
                }
                j += count;
                word += (ulong)count;
            }
        }
    }
}
