using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.VectorMath;
using V = System.Runtime.Intrinsics.Vector512<float>;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void Adafactor(Matrix parameter, Matrix gradient, Matrix rows, Matrix columns, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.Adafactor(this, parameter, gradient, rows, columns, momentum, factor);
        if (parameter.Count == 0 || IsLeftOut(factor, out var scale)) return;
        int matrices = columns.Rows, height = parameter.Rows / matrices, width = parameter.Columns;
        Matrix scales = this.Rent(matrices, width), means = this.Rent(matrices, 1);
        Matrix updates = this.Rent(parameter.Rows, 1), squares = this.Rent(parameter.Rows, 1);
        var moment = new Moment(scale, (float)step.Epsilon, (float)step.Decay);

        EachRow(new RowMomentOp
        {
            Moment = moment,
            Fresh = (float)((1 - step.Decay) / width),
            P = new(parameter),
            G = new(gradient),
            R = new(rows),
            Squares = step.LeastScale is null ? null : Pointer(squares),
        }, parameter);
        var blocks = (width + 15) / 16;
        Workers.Run(matrices * blocks, new ColumnMomentJob
        {
            Moment = moment,
            Fresh = (float)((1 - step.Decay) / height),
            G = new(gradient),
            C = new(columns),
            Scales = new(scales),
            Tree = new(height, height),
            Blocks = blocks,
        });
        for (var s = 0; s < matrices; s++) Pointer(means)[s] = SumApart(Pointer(rows) + (long)s * height * rows.Stride, rows.Stride, height) / height;

        var update = new FactoredUpdate
        {
            G = new(gradient),
            R = new(rows),
            Scales = new(scales),
            Means = Pointer(means),
            Height = height,
            Factor = moment.Factor,
        };
        EachRow(new UpdateSquaresOp<FactoredUpdate> { Update = update, Columns = width, Squares = Pointer(updates) }, parameter);
        Move(parameter, update, updates, squares, matrices, momentum, step);
        foreach (var scratch in (ReadOnlySpan<Matrix>)[scales, means, updates, squares]) Return(scratch.Storage);
    }

    public void AdafactorUnfactored(Matrix parameter, Matrix gradient, Matrix second, Matrix? momentum, Matrix factor, in AdafactorStep step)
    {
        Check.AdafactorUnfactored(this, parameter, gradient, second, momentum, factor);
        if (parameter.Count == 0 || IsLeftOut(factor, out var scale)) return;
        Matrix updates = this.Rent(parameter.Rows, 1), squares = this.Rent(parameter.Rows, 1);
        EachRow(new MomentOp
        {
            Moment = new(scale, (float)step.Epsilon, (float)step.Decay),
            Fresh = (float)(1 - step.Decay),
            P = new(parameter),
            G = new(gradient),
            Second = new(second),
            Squares = step.LeastScale is null ? null : Pointer(squares),
        }, parameter);
        var update = new PlainUpdate { G = new(gradient), Second = new(second), Factor = scale };
        EachRow(new UpdateSquaresOp<PlainUpdate> { Update = update, Columns = parameter.Columns, Squares = Pointer(updates) }, parameter);
        Move(parameter, update, updates, squares, 1, momentum, step);
        foreach (var scratch in (ReadOnlySpan<Matrix>)[updates, squares]) Return(scratch.Storage);
    }

    /// <summary>Clips the update by its root mean square and takes it from the parameter.</summary>
    void Move<TUpdate>(Matrix parameter, TUpdate update, Matrix updates, Matrix squares, int matrices, Matrix? momentum, in AdafactorStep step)
        where TUpdate : unmanaged, IUpdate
    {
        var rate = (float)step.Rate;
        if (step.LeastScale is { } least) rate *= AtLeast(RootMeanSquare(squares, matrices, parameter.Count), (float)least);
        EachRow(new MoveOp<TUpdate>
        {
            Update = update,
            P = new(parameter),
            M = momentum is { } m ? new(m) : default,
            HasMomentum = momentum is not null,
            Size = rate / AtLeast(RootMeanSquare(updates, matrices, parameter.Count) / (float)step.ClipThreshold, 1),
            Keep = MathF.FusedMultiplyAdd(-(float)step.WeightDecay, rate, 1),
            KeepMomentum = (float)step.Beta1,
            FreshMomentum = (float)(1 - step.Beta1),
        }, parameter);
    }

    /// <summary>x, but not less than <paramref name="least"/>; NaN stays.</summary>
    static float AtLeast(float x, float least) => x < least ? least : x;

    /// <summary>√(Σ / count) from the squares of rows: those of a matrix in 16 lanes, and the matrices.</summary>
    static float RootMeanSquare(Matrix squares, int matrices, long count)
    {
        var height = squares.Rows / matrices;
        var lanes = stackalloc float[16];
        new Span<float>(lanes, 16).Clear();
        for (var s = 0; s < matrices; s++) lanes[s % 16] += RowMath.Sum(Pointer(squares) + (long)s * height, height);
        return MathF.Sqrt(Join(Vector512.Load(lanes)) / count);
    }

    /// <summary>Σ of numbers that lie <paramref name="stride"/> apart, in 16 lanes.</summary>
    static float SumApart(float* first, long stride, int count)
    {
        if (stride == 1) return RowMath.Sum(first, count);
        var lanes = stackalloc float[16];
        new Span<float>(lanes, 16).Clear();
        for (var i = 0; i < count; i++) lanes[i % 16] += first[i * stride];
        return Join(Vector512.Load(lanes));
    }

    /// <summary>What all moments share: q = g² + ε of the scaled gradient, and how much of the old stays.</summary>
    readonly struct Moment(float factor, float epsilon, float keep)
    {
        public readonly float Factor = factor, Keep = keep;
        readonly float _epsilon = epsilon;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public V Square(V gradient)
        {
            var g = Set(Factor) * gradient;
            return Fma(g, g, Set(_epsilon));
        }
    }

    /// <summary>R ← keep·R + fresh·Σ_j q, and Σ_j p² where somebody wants it.</summary>
    struct RowMomentOp : IRowOp
    {
        public Moment Moment;
        public float Fresh;
        public Grid P, G, R;
        public float* Squares;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* g = G.Row(row), r = R.Row(row);
            var n = G.Columns;
            var sum = V.Zero;
            for (var j = 0; j < n; j += 16) sum += RowMath.Clip(Moment.Square(RowMath.Load(g, j, n)), j, n);
            *r = MathF.FusedMultiplyAdd(Fresh, Join(sum), Moment.Keep * *r);
            if (Squares != null) Squares[row] = RowMath.Dot(P.Row(row), P.Row(row), n);
        }
    }

    /// <summary>C ← keep·C + fresh·Σ_i q for sixteen columns of a matrix, and 1/√C.</summary>
    struct ColumnMomentJob : IJob
    {
        public Moment Moment;
        public float Fresh;
        public Grid G, C, Scales;
        public SumTree Tree;
        public int Blocks;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run(int part)
        {
            int matrix = part / Blocks, column = part % Blocks * 16, n = G.Columns;
            var sum = new ColumnPartials(stackalloc V[Tree.Height]);
            for (var leaf = 0; leaf < Tree.Leaves; leaf++)
            {
                var (start, count, joins) = Tree[leaf];
                start += matrix * Tree.Rows;
                var chain = V.Zero;
                for (var r = start; r < start + count; r++) chain += Moment.Square(RowMath.Load(G.Row(r), column, n));
                sum.Push(chain, joins);
            }
            var c = C.Row(matrix);
            var mean = Fma(Set(Fresh), sum.Total, Set(Moment.Keep) * RowMath.Load(c, column, n));
            RowMath.Store(mean, c, column, n);
            RowMath.Store(V.One / Vector512.Sqrt(mean), Scales.Row(matrix), column, n);
        }
    }

    /// <summary>V ← keep·V + fresh·q, and Σ_j p² where somebody wants it.</summary>
    struct MomentOp : IRowOp
    {
        public Moment Moment;
        public float Fresh;
        public Grid P, G, Second;
        public float* Squares;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* g = G.Row(row), v = Second.Row(row);
            var n = G.Columns;
            for (var j = 0; j < n; j += 16)
                RowMath.Store(Fma(Set(Fresh), Moment.Square(RowMath.Load(g, j, n)), Set(Moment.Keep) * RowMath.Load(v, j, n)), v, j, n);
            if (Squares != null) Squares[row] = RowMath.Dot(P.Row(row), P.Row(row), n);
        }
    }

    /// <summary>The update before it is clipped; it is computed again by whoever needs it.</summary>
    interface IUpdate
    {
        /// <summary>What all elements of a row share.</summary>
        V OfRow(int row);

        /// <summary>Sixteen elements; those behind the end of the row are arbitrary.</summary>
        V At(V ofRow, int row, int j);
    }

    /// <summary>u = g · √(mean R / R_i) · 1/√C_j.</summary>
    struct FactoredUpdate : IUpdate
    {
        public Grid G, R, Scales;
        public float* Means;
        public int Height;
        public float Factor;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly V OfRow(int row) => Set(MathF.Sqrt(Means[row / Height] / *R.Row(row)));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly V At(V ofRow, int row, int j) =>
            Set(Factor) * RowMath.Load(G.Row(row), j, G.Columns) * ofRow * RowMath.Load(Scales.Row(row / Height), j, G.Columns);
    }

    /// <summary>u = g / √V.</summary>
    struct PlainUpdate : IUpdate
    {
        public Grid G, Second;
        public float Factor;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly V OfRow(int row) => default;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly V At(V ofRow, int row, int j) =>
            Set(Factor) * RowMath.Load(G.Row(row), j, G.Columns) / Vector512.Sqrt(RowMath.Load(Second.Row(row), j, G.Columns));
    }

    /// <summary>Σ_j u².</summary>
    struct UpdateSquaresOp<TUpdate> : IRowOp where TUpdate : unmanaged, IUpdate
    {
        public TUpdate Update;
        public int Columns;
        public float* Squares;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            V ofRow = Update.OfRow(row), sum = V.Zero;
            for (var j = 0; j < Columns; j += 16)
            {
                var u = RowMath.Clip(Update.At(ofRow, row, j), j, Columns);
                sum = Fma(u, u, sum);
            }
            Squares[row] = Join(sum);
        }
    }

    /// <summary>p ← keep·p − x, x = size·u or the momentum, which moves towards it.</summary>
    struct MoveOp<TUpdate> : IRowOp where TUpdate : unmanaged, IUpdate
    {
        public TUpdate Update;
        public Grid P, M;
        public bool HasMomentum;
        public float Size, Keep, KeepMomentum, FreshMomentum;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* p = P.Row(row), m = HasMomentum ? M.Row(row) : null;
            var n = P.Columns;
            var ofRow = Update.OfRow(row);
            for (var j = 0; j < n; j += 16)
            {
                var x = Set(Size) * Update.At(ofRow, row, j);
                if (m != null)
                {
                    x = Fma(Set(FreshMomentum), x, Set(KeepMomentum) * RowMath.Load(m, j, n));
                    RowMath.Store(x, m, j, n);
                }
                RowMath.Store(Fma(Set(Keep), RowMath.Load(p, j, n), -x), p, j, n);
            }
        }
    }
}
