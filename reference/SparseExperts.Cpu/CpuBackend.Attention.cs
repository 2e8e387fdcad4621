using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.VectorMath;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Probabilities, row (sequence·heads + head)·queries + query.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, shape.Keys);

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, bias, pad, saved, y);
        Workers.Run(shape.Sequences * shape.Heads, new AttentionJob
        {
            Shape = shape,
            Q = new(q),
            K = new(k),
            V = new(v),
            P = new(saved),
            Y = new(y),
            Bias = bias is { } b ? new(b) : default,
            Pad = pad is { } p ? new(p) : default,
        });
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, Matrix? bias, Matrix? pad, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias)
    {
        Check.AttentionBackward(this, shape, q, k, v, bias, pad, saved, y, dy, dq, dk, dv, dBias);
        var job = new AttentionBackwardJob
        {
            Shape = shape,
            Q = new(q),
            K = new(k),
            V = new(v),
            P = new(saved),
            Dy = new(dy),
            Dq = new(dq),
            Dk = new(dk),
            Dv = new(dv),
            AccumulateQ = accumulateQ,
            AccumulateK = accumulateK,
            AccumulateV = accumulateV,
            DBias = dBias is { } b ? new(b) : default,
        };
        Workers.Run(dBias is null ? shape.Sequences * shape.Heads : shape.Heads, job);     // a head's bias gradient is one sum over sequences
    }

    /// <summary>Queries are taken in blocks, so that a causal block meets only the keys up to its end.</summary>
    const int QueryBlock = 32;

    static Product Tile(
        float* a,
        long strideA,
        bool transposeA,
        float* b,
        long strideB,
        bool transposeB,
        float* c,
        long strideC,
        int m,
        int n,
        int k,
        bool accumulate) => new()
        {
            A = a,
            StrideA = strideA,
            TransposeA = transposeA,
            B = b,
            StrideB = strideB,
            TransposeB = transposeB,
            C = c,
            StrideC = strideC,
            M = m,
            N = n,
            K = k,
            Start = accumulate ? Start.AtC : Start.AtZero,
        };

    /// <summary>Adds +0: whether masked keys (exact zeros) are in a chain or left out can only change the sign of a zero.</summary>
    internal static void NoNegativeZero(float* first, long stride, int rows, int n)
    {
        for (var r = 0; r < rows; r++, first += stride)
            for (var j = 0; j < n; j += 16) RowMath.Store(RowMath.Load(first, j, n) + Vector512<float>.Zero, first, j, n);
    }

    struct AttentionJob : IJob
    {
        public AttentionShape Shape;
        public Grid Q, K, V, P, Y, Bias, Pad;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            int queries = Shape.Queries, width = Shape.HeadWidth, sequence = part / Shape.Heads, head = part % Shape.Heads, first = head * width;
            float* q = Q.Row(sequence * queries) + first, y = Y.Row(sequence * queries) + first, p = P.Row(part * queries);
            float* k = K.Row(sequence * Shape.Keys) + first, v = V.Row(sequence * Shape.Keys) + first;
            for (var i = 0; i < queries; i += QueryBlock)
            {
                int rows = Math.Min(QueryBlock, queries - i), keys = Shape.Visible(i + rows - 1);
                Tile(q + i * Q.Stride, Q.Stride, false, k, K.Stride, true, p + i * P.Stride, P.Stride, rows, keys, width, false).Run();
                for (var r = i; r < i + rows; r++) Normalise(p + r * P.Stride, head, sequence, r);
                Tile(p + i * P.Stride, P.Stride, false, v, V.Stride, false, y + i * Y.Stride, Y.Stride, rows, width, keys, false).Run();
                NoNegativeZero(y + i * Y.Stride, Y.Stride, rows, width);
            }
        }

        /// <summary>Scores to probabilities in place; keys beyond the visible ones become 0.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        readonly void Normalise(float* row, int head, int sequence, int query)
        {
            var n = Shape.Visible(query);
            var scale = Set((float)Shape.Scale);
            var max = Set(float.NegativeInfinity);
            for (var j = 0; j < n; j += 16)
            {
                var score = RowMath.Load(row, j, n, float.NegativeInfinity) * scale;
                if (Bias.First != null) score += RowMath.Load(Bias.Row(head * Shape.Queries + query), j, n);
                if (Pad.First != null) score += RowMath.Load(Pad.Row(sequence), j, n);
                RowMath.Store(score, row, j, n);
                score = n - j >= 16 ? score : RowMath.Load(row, j, n, float.NegativeInfinity);
                max = Pick(Vector512.GreaterThan(score, max), score, max);
            }
            var top = Set(JoinMax(max));
            var sum = Vector512<float>.Zero;
            for (var j = 0; j < n; j += 16)
            {
                var e = VectorMath.Exp(RowMath.Load(row, j, n, float.NegativeInfinity) - top);
                sum += e;
                RowMath.Store(e, row, j, n);
            }
            var total = Set(Join(sum));
            for (var j = 0; j < n; j += 16) RowMath.Store(RowMath.Load(row, j, n) / total, row, j, n);
            new Span<float>(row + n, Shape.Keys - n).Clear();
        }
    }

    struct AttentionBackwardJob : IJob
    {
        public AttentionShape Shape;
        public Grid Q, K, V, P, Dy, Dq, Dk, Dv, DBias;
        public bool AccumulateQ, AccumulateK, AccumulateV;

        public readonly void Run(int part)
        {
            if (DBias.First == null) { One(part / Shape.Heads, part % Shape.Heads, null); return; }
            var sequences = new SumTree(Shape.Sequences, 1);
            var size = (long)Shape.Queries * Shape.Keys;
            var levels = Scratch<SumTree>.Of(size * Math.Max(1, sequences.Height));
            var count = 0;
            for (var sequence = 0; sequence < Shape.Sequences; sequence++)
            {
                var level = levels + count++ * size;
                new Span<float>(level, (int)size).Clear();
                One(sequence, part, level);
                for (var joins = sequences[sequence].Joins; joins > 0; joins--)
                {
                    count--;
                    AddTo(levels + (count - 1) * size, Shape.Keys, levels + count * size, Shape.Keys, Shape.Queries, Shape.Keys);
                }
            }
            if (count > 0) AddTo(DBias.Row(part * Shape.Queries), DBias.Stride, levels, Shape.Keys, Shape.Queries, Shape.Keys);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        readonly void One(int sequence, int head, float* bias)
        {
            int queries = Shape.Queries, length = Shape.Keys, width = Shape.HeadWidth;
            int first = head * width, query = sequence * queries, key = sequence * length;
            float* q = Q.Row(query) + first, dy = Dy.Row(query) + first, dq = Dq.Row(query) + first;
            float* p = P.Row((sequence * Shape.Heads + head) * queries);
            float* k = K.Row(key) + first, v = V.Row(key) + first, scores = Scratch<AttentionShape>.Of((long)queries * length);
            for (var i = 0; i < queries; i += QueryBlock)
            {
                int rows = Math.Min(QueryBlock, queries - i), keys = Shape.Visible(i + rows - 1);
                var block = scores + (long)i * length;
                Tile(dy + i * Dy.Stride, Dy.Stride, false, v, V.Stride, true, block, length, rows, keys, width, false).Run();
                for (var r = i; r < i + rows; r++) Slopes(p + r * P.Stride, scores + (long)r * length, bias == null ? null : bias + (long)r * length, keys);
                Tile(block, length, false, k, K.Stride, false, dq + i * Dq.Stride, Dq.Stride, rows, width, keys, AccumulateQ).Run();
                NoNegativeZero(dq + i * Dq.Stride, Dq.Stride, rows, width);
            }
            // Keys are cut where the first query stands, so that their blocks lie on those of the queries.
            for (int j = 0, columns, before = Shape.Causal ? Shape.Offset : 0; j < length; j += columns)
            {
                columns = Math.Min(QueryBlock, (j < before ? before : length) - j);
                int from = Shape.Causal ? Math.Max(0, j - before) : 0, depth = queries - from;
                float* dk = Dk.Row(key + j) + first, dv = Dv.Row(key + j) + first;
                float* score = scores + (long)from * length + j, share = p + from * P.Stride + j;
                float* asked = q + from * Q.Stride, slope = dy + from * Dy.Stride;
                Tile(score, length, true, asked, Q.Stride, false, dk, Dk.Stride, columns, width, depth, AccumulateK).Run();
                Tile(share, P.Stride, true, slope, Dy.Stride, false, dv, Dv.Stride, columns, width, depth, AccumulateV).Run();
                NoNegativeZero(dk, Dk.Stride, columns, width);
                NoNegativeZero(dv, Dv.Stride, columns, width);
            }
        }

        /// <summary>dS = P ∘ (dP − Σ P ∘ dP), scaled for the products that follow.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        readonly void Slopes(float* p, float* scores, float* bias, int n)
        {
            Vector512<float> mean = Set(RowMath.Dot(p, scores, n)), scale = Set((float)Shape.Scale);
            for (var j = 0; j < n; j += 16)
            {
                var slope = RowMath.Load(p, j, n) * (RowMath.Load(scores, j, n) - mean);
                if (bias != null) RowMath.Store(slope, bias, j, n);
                RowMath.Store(slope * scale, scores, j, n);
            }
        }
    }
}
