using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.VectorMath;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <summary>Probabilities, row (sequence·heads + head)·queries + query, the sink's behind those of the keys.</summary>
    public (int Rows, int Columns) AttentionSaved(in AttentionShape shape) => (shape.ScoreRows, shape.Keys + (shape.Sinks ? 1 : 0));

    public void Attention(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y)
    {
        Check.Attention(this, "Attention", shape, q, k, v, terms, saved, y);
        Workers.Run(shape.Sequences * shape.Heads, new AttentionJob
        {
            Shape = shape,
            Q = new(q),
            K = new(k),
            V = new(v),
            P = new(saved),
            Y = new(y),
            Bias = terms.Bias is { } bias ? new(bias) : default,
            Pad = terms.Pad is { } pad ? new(pad) : default,
            Sinks = terms.Sinks is { } sinks ? new(sinks) : default,
        });
    }

    public void AttentionBackward(in AttentionShape shape, Matrix q, Matrix k, Matrix v, in AttentionTerms terms, Matrix saved, Matrix y, Matrix dy,
        Matrix dq, bool accumulateQ, Matrix dk, bool accumulateK, Matrix dv, bool accumulateV, Matrix? dBias, Matrix? dSinks)
    {
        Check.AttentionBackward(this, shape, q, k, v, terms, saved, y, dy, dq, dk, dv, dBias, dSinks);
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
            DBias = dBias is { } bias ? new(bias) : default,
            DSinks = dSinks is { } sinks ? new(sinks) : default,
        };
        Workers.Run(dBias is null ? shape.Sequences * shape.KeyHeads : shape.KeyHeads, job);     // a head's bias gradient is one sum over sequences
    }

    /// <summary>
    /// Keys that a block of queries meets: from a multiple of the lanes on to the end of the last query's. Where a query that sees nothing sees all of them,
    /// each may be one.
    /// </summary>
    static (int First, int Behind) KeysOf(in AttentionShape shape, int query, int queries) =>
        shape.BlindSeesAll ? (0, shape.Keys) : (shape.First(query) & -16, shape.Visible(query + queries - 1));

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
        public Grid Q, K, V, P, Y, Bias, Pad, Sinks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            int queries = Shape.Queries, width = Shape.HeadWidth, values = Shape.ValueWidth, sequence = part / Shape.Heads, head = part % Shape.Heads;
            var keyHead = head / Shape.Group;
            float* q = Q.Row(sequence * queries) + head * width, y = Y.Row(sequence * queries) + head * values, p = P.Row(part * queries);
            float* k = K.Row(sequence * Shape.Keys) + keyHead * width, v = V.Row(sequence * Shape.Keys) + keyHead * values;
            for (var i = 0; i < queries; i += QueryBlock)
            {
                var rows = Math.Min(QueryBlock, queries - i);
                var (first, behind) = KeysOf(Shape, i, rows);
                var keys = behind - first;
                var block = p + i * P.Stride + first;
                Tile(q + i * Q.Stride, Q.Stride, false, k + first * K.Stride, K.Stride, true, block, P.Stride, rows, keys, width, false).Run();
                for (var r = i; r < i + rows; r++) Normalise(p + r * P.Stride, head, sequence, r, first);
                Tile(block, P.Stride, false, v + first * V.Stride, V.Stride, false, y + i * Y.Stride, Y.Stride, rows, values, keys, false).Run();
                NoNegativeZero(y + i * Y.Stride, Y.Stride, rows, values);
            }
        }

        /// <summary>Scores from key <paramref name="start"/> on to probabilities in place; keys that are not seen become 0.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        readonly void Normalise(float* row, int head, int sequence, int query, int start)
        {
            int first = Shape.First(query), n = Shape.Visible(query);
            var scale = Set((float)Shape.Scale);
            var max = Set(float.NegativeInfinity);
            for (var j = start; j < n; j += 16)
            {
                var score = RowMath.Load(row, j, n, float.NegativeInfinity) * scale;
                if (Bias.First != null) score += RowMath.Load(Bias.Row(head * Shape.Queries + query), j, n);
                if (Pad.First != null) score += RowMath.Load(Pad.Row(Pad.Rows == Shape.QueryRows ? sequence * Shape.Queries + query : sequence), j, n);
                if (j < first) score = Pick(Before(first - j), Set(float.NegativeInfinity), score);
                RowMath.Store(score, row, j, n);
                score = n - j >= 16 ? score : RowMath.Load(row, j, n, float.NegativeInfinity);
                max = Pick(Vector512.GreaterThan(score, max), score, max);
            }
            var largest = JoinMax(max);
            if (Shape.Sinks && Sinks.First[head] > largest) largest = Sinks.First[head];
            if (Shape.BlindSeesAll && float.IsNegativeInfinity(largest) && SeesNothing(row, head, first, n))
            {
                new Span<float>(row, Shape.Keys).Fill(1f / Shape.Keys);
                if (Shape.Sinks) row[Shape.Keys] = 0;
                return;
            }
            if (first == n && !Shape.Sinks)
            {
                new Span<float>(row, Shape.Keys).Clear();
                return;
            }
            var top = Set(largest);
            var sum = Vector512<float>.Zero;
            for (var j = start; j < n; j += 16)
            {
                var e = VectorMath.Exp(RowMath.Load(row, j, n, float.NegativeInfinity) - top);
                if (j < first) e = Pick(Before(first - j), Vector512<float>.Zero, e);
                sum += e;
                RowMath.Store(e, row, j, n);
            }
            var total = Join(sum);
            if (Shape.Sinks)
            {
                var e = VectorMath.Exp(Set(Sinks.First[head] - largest)).ToScalar();
                total += e;
                row[Shape.Keys] = e / total;
            }
            for (var j = start; j < n; j += 16) RowMath.Store(RowMath.Load(row, j, n) / Set(total), row, j, n);
            new Span<float>(row, first).Clear();
            new Span<float>(row + n, Shape.Keys - n).Clear();
        }

        static Vector512<float> Before(int count) => Vector512.LessThan(Vector512<int>.Indices, Vector512.Create(count)).AsSingle();

        /// <summary>Whether every score, the largest of which is −∞, is that and not NaN.</summary>
        readonly bool SeesNothing(float* row, int head, int first, int n) =>
            !(Shape.Sinks && float.IsNaN(Sinks.First[head])) && !new Span<float>(row + first, n - first).ContainsAnyExcept(float.NegativeInfinity);
    }

    struct AttentionBackwardJob : IJob
    {
        public AttentionShape Shape;
        public Grid Q, K, V, P, Dy, Dq, Dk, Dv, DBias, DSinks;
        public bool AccumulateQ, AccumulateK, AccumulateV;

        /// <summary>The heads of one key head, whose gradients go on in one chain.</summary>
        public readonly void Run(int part)
        {
            var (sequence, keyHead) = DBias.First == null ? (part / Shape.KeyHeads, part % Shape.KeyHeads) : (-1, part);
            for (var head = keyHead * Shape.Group; head < (keyHead + 1) * Shape.Group; head++)
                if (sequence < 0) WithBias(head);
                else One(sequence, head, null);
        }

        readonly void WithBias(int head)
        {
            var sequences = new SumTree(Shape.Sequences, 1);
            var size = (long)Shape.Queries * Shape.Keys;
            var levels = Scratch<SumTree>.Of(size * Math.Max(1, sequences.Height));
            var count = 0;
            for (var sequence = 0; sequence < Shape.Sequences; sequence++)
            {
                var level = levels + count++ * size;
                new Span<float>(level, (int)size).Clear();
                One(sequence, head, level);
                for (var joins = sequences[sequence].Joins; joins > 0; joins--)
                {
                    count--;
                    AddTo(levels + (count - 1) * size, Shape.Keys, levels + count * size, Shape.Keys, Shape.Queries, Shape.Keys);
                }
            }
            if (count > 0) AddTo(DBias.Row(head * Shape.Queries), DBias.Stride, levels, Shape.Keys, Shape.Queries, Shape.Keys);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        readonly void One(int sequence, int head, float* bias)
        {
            int queries = Shape.Queries, length = Shape.Keys, width = Shape.HeadWidth, values = Shape.ValueWidth, keyHead = head / Shape.Group;
            int query = sequence * queries, key = sequence * length;
            var follows = head % Shape.Group > 0;
            float* q = Q.Row(query) + head * width, dy = Dy.Row(query) + head * values, dq = Dq.Row(query) + head * width;
            float* p = P.Row((sequence * Shape.Heads + head) * queries);
            float* k = K.Row(key) + keyHead * width, v = V.Row(key) + keyHead * values, scores = Scratch<AttentionShape>.Of((long)queries * length);
            for (var i = 0; i < queries; i += QueryBlock)
            {
                var rows = Math.Min(QueryBlock, queries - i);
                var (first, behind) = KeysOf(Shape, i, rows);
                var keys = behind - first;
                var block = scores + (long)i * length + first;
                Tile(dy + i * Dy.Stride, Dy.Stride, false, v + first * V.Stride, V.Stride, true, block, length, rows, keys, values, false).Run();
                for (var r = i; r < i + rows; r++)
                {
                    var row = (long)r * length;
                    var mean = Slopes(p + r * P.Stride, scores + row, bias == null ? null : bias + row, first, behind);
                    if (DSinks.First != null) DSinks.Row(query + r)[head] = p[r * P.Stride + length] * (0f - mean);
                }
                Tile(block, length, false, k + first * K.Stride, K.Stride, false, dq + i * Dq.Stride, Dq.Stride, rows, width, keys, AccumulateQ).Run();
                NoNegativeZero(dq + i * Dq.Stride, Dq.Stride, rows, width);
            }
            // Keys are cut where the first query stands, so that their blocks lie on those of the queries.
            for (int j = 0, columns, before = Shape.Causal ? Math.Clamp(Shape.Offset, 0, length) : 0; j < length; j += columns)
            {
                columns = Math.Min(QueryBlock, (j < before ? before : length) - j);
                var (from, to) = QueriesOf(j, columns);
                var depth = to - from;
                float* dk = Dk.Row(key + j) + keyHead * width, dv = Dv.Row(key + j) + keyHead * values;
                float* score = scores + (long)from * length + j, share = p + from * P.Stride + j;
                float* asked = q + from * Q.Stride, slope = dy + from * Dy.Stride;
                Tile(score, length, true, asked, Q.Stride, false, dk, Dk.Stride, columns, width, depth, AccumulateK || follows).Run();
                Tile(share, P.Stride, true, slope, Dy.Stride, false, dv, Dv.Stride, columns, values, depth, AccumulateV || follows).Run();
                NoNegativeZero(dk, Dk.Stride, columns, width);
                NoNegativeZero(dv, Dv.Stride, columns, values);
            }
        }

        /// <summary>Queries that may see any of some keys.</summary>
        readonly (int First, int Behind) QueriesOf(int key, int keys)
        {
            if (Shape.BlindSeesAll) return (0, Shape.Queries);
            var first = Shape.Causal ? Math.Clamp(key - Shape.Offset, 0, Shape.Queries) : 0;
            var last = Shape.Window == 0 ? Shape.Queries : (int)Math.Min(Shape.Queries, (long)key + keys - 1 - Shape.Offset + Shape.Window);
            return (first, Math.Max(first, last));
        }

        /// <summary>dS = P ∘ (dP − Σ P ∘ dP) over some keys, scaled for the products that follow, 0 beside them; the sum.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        readonly float Slopes(float* p, float* scores, float* bias, int first, int n)
        {
            var sum = RowMath.Dot(p + first, scores + first, n - first);
            Vector512<float> mean = Set(sum), scale = Set((float)Shape.Scale);
            for (var j = first; j < n; j += 16)
            {
                var slope = RowMath.Load(p, j, n) * (RowMath.Load(scores, j, n) - mean);
                if (bias != null) RowMath.Store(slope, bias, j, n);
                RowMath.Store(slope * scale, scores, j, n);
            }
            new Span<float>(scores, first).Clear();
            new Span<float>(scores + n, Shape.Keys - n).Clear();
            return sum;
        }
    }
}
