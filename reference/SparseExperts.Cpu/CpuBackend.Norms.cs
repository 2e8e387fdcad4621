using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static SparseExperts.Cpu.RowMath;
using static SparseExperts.Cpu.VectorMath;

namespace SparseExperts.Cpu;

public sealed unsafe partial class CpuBackend
{
    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale)
    {
        Check.Norm(this, "RmsNorm", x, weight, y, scale, 1);
        EachRow(new RmsNormOp { X = new(x), Weight = new(weight), Y = new(y), Scale = new(scale), Epsilon = (float)epsilon }, x);
    }

    struct RmsNormOp : IRowOp
    {
        public Grid X, Weight, Y, Scale;
        public float Epsilon;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), y = Y.Row(row), w = Weight.First;
            var n = X.Columns;
            var scale = *Scale.Row(row) = 1f / MathF.Sqrt(Dot(x, x, n) / n + Epsilon);
            for (var j = 0; j < n; j += 16) RowMath.Store(RowMath.Load(x, j, n) * Set(scale) * RowMath.Load(w, j, n), y, j, n);
        }
    }

    public void RmsNormBackward(
        Matrix x,
        Matrix weight,
        Matrix scale,
        Matrix dy,
        int sequence,
        Matrix dx,
        bool accumulateX,
        Matrix dWeight,
        bool accumulateWeight)
    {
        Check.Norm(this, "RmsNormBackward", x, weight, dy, scale, 1);
        Check.Norm(this, "RmsNormBackward", x, dWeight, dx, scale, 1);
        Check.Sequence("RmsNormBackward", sequence);
        EachRow(new RmsNormBackwardOp { X = new(x), Weight = new(weight), Scale = new(scale), Dy = new(dy), Dx = new(dx), Accumulate = accumulateX }, x);
        EachColumn(new RmsNormWeightOp
        {
            X = new(x),
            Scale = new(scale),
            Dy = new(dy),
            DWeight = new(dWeight),
            Tree = new(x.Rows, sequence),
            Accumulate = accumulateWeight,
        }, x);
    }

    struct RmsNormBackwardOp : IRowOp
    {
        public Grid X, Weight, Scale, Dy, Dx;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), dy = Dy.Row(row), dx = Dx.Row(row), w = Weight.First;
            var n = X.Columns;
            var scale = Set(*Scale.Row(row));
            var sum = Vector512<float>.Zero;
            for (var j = 0; j < n; j += 16)                   // clipped: behind the end 0·scale is NaN for an infinite scale
                sum = VectorMath.Fma(RowMath.Load(dy, j, n) * RowMath.Load(w, j, n), Clip(RowMath.Load(x, j, n) * scale, j, n), sum);
            var mean = Set(Join(sum) / n);
            for (var j = 0; j < n; j += 16)
                Put(scale * VectorMath.Fma(-(RowMath.Load(x, j, n) * scale), mean, RowMath.Load(dy, j, n) * RowMath.Load(w, j, n)), dx, j, n, Accumulate);
        }
    }

    struct RmsNormWeightOp : IColumnOp
    {
        public Grid X, Scale, Dy, DWeight;
        public SumTree Tree;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Block(int column)
        {
            var n = X.Columns;
            var sum = new ColumnPartials(stackalloc Vector512<float>[Tree.Height]);
            for (var leaf = 0; leaf < Tree.Leaves; leaf++)
            {
                var (start, count, joins) = Tree[leaf];
                var chain = Vector512<float>.Zero;
                for (var r = start; r < start + count; r++)
                    chain = VectorMath.Fma(RowMath.Load(Dy.Row(r), column, n), RowMath.Load(X.Row(r), column, n) * Set(*Scale.Row(r)), chain);
                sum.Push(chain, joins);
            }
            RowMath.Put(sum.Total, DWeight.First, column, n, Accumulate);
        }
    }

    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics)
    {
        Check.Norm(this, "LayerNorm", x, weight, y, statistics, 2);
        Check.Norm(this, "LayerNorm", x, bias, y, statistics, 2);
        EachRow(new LayerNormOp { X = new(x), Weight = new(weight), Bias = new(bias), Y = new(y), Statistics = new(statistics), Epsilon = (float)epsilon }, x);
    }

    struct LayerNormOp : IRowOp
    {
        public Grid X, Weight, Bias, Y, Statistics;
        public float Epsilon;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), y = Y.Row(row), w = Weight.First, b = Bias.First, s = Statistics.Row(row);
            var n = X.Columns;
            var mean = Set(s[0] = Sum(x, n) / n);
            var sum = Vector512<float>.Zero;
            for (var j = 0; j < n; j += 16)
            {
                var centred = Clip(RowMath.Load(x, j, n) - mean, j, n);
                sum = VectorMath.Fma(centred, centred, sum);
            }
            var scale = Set(s[1] = 1f / MathF.Sqrt(Join(sum) / n + Epsilon));
            for (var j = 0; j < n; j += 16)
                RowMath.Store(VectorMath.Fma((RowMath.Load(x, j, n) - mean) * scale, RowMath.Load(w, j, n), RowMath.Load(b, j, n)), y, j, n);
        }
    }

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters)
    {
        Check.Norm(this, "LayerNormBackward", x, weight, dy, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dWeight, dx, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dBias, dx, statistics, 2);
        Check.Sequence("LayerNormBackward", sequence);
        EachRow(new LayerNormBackwardOp
        {
            X = new(x),
            Weight = new(weight),
            Statistics = new(statistics),
            Dy = new(dy),
            Dx = new(dx),
            Accumulate = accumulateX,
        }, x);
        EachColumn(new LayerNormParametersOp
        {
            X = new(x),
            Statistics = new(statistics),
            Dy = new(dy),
            DWeight = new(dWeight),
            DBias = new(dBias),
            Tree = new(x.Rows, sequence),
            Accumulate = accumulateParameters,
        }, x);
    }

    struct LayerNormBackwardOp : IRowOp
    {
        public Grid X, Weight, Statistics, Dy, Dx;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly void Row(int row)
        {
            float* x = X.Row(row), dy = Dy.Row(row), dx = Dx.Row(row), w = Weight.First, s = Statistics.Row(row);
            var n = X.Columns;
            Vector512<float> centre = Set(s[0]), scale = Set(s[1]), plain = default, scaled = default;
            for (var j = 0; j < n; j += 16)
            {
                var slope = RowMath.Load(dy, j, n) * RowMath.Load(w, j, n);
                plain += slope;
                scaled = VectorMath.Fma(slope, Clip((RowMath.Load(x, j, n) - centre) * scale, j, n), scaled);      // behind the end it may overflow
            }
            Vector512<float> mean = Set(Join(plain) / n), along = Set(Join(scaled) / n);
            for (var j = 0; j < n; j += 16)
            {
                var hat = (RowMath.Load(x, j, n) - centre) * scale;
                Put(scale * VectorMath.Fma(-hat, along, RowMath.Load(dy, j, n) * RowMath.Load(w, j, n) - mean), dx, j, n, Accumulate);
            }
        }
    }

    struct LayerNormParametersOp : IColumnOp
    {
        public Grid X, Statistics, Dy, DWeight, DBias;
        public SumTree Tree;
        public bool Accumulate;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Block(int column)
        {
            var n = X.Columns;
            ColumnPartials slope = new(stackalloc Vector512<float>[Tree.Height]), offset = new(stackalloc Vector512<float>[Tree.Height]);
            for (var leaf = 0; leaf < Tree.Leaves; leaf++)
            {
                var (start, count, joins) = Tree[leaf];
                Vector512<float> slopes = default, offsets = default;
                for (var r = start; r < start + count; r++)
                {
                    var s = Statistics.Row(r);
                    var dy = RowMath.Load(Dy.Row(r), column, n);
                    slopes = VectorMath.Fma(dy, (RowMath.Load(X.Row(r), column, n) - Set(s[0])) * Set(s[1]), slopes);
                    offsets += dy;
                }
                slope.Push(slopes, joins);
                offset.Push(offsets, joins);
            }
            RowMath.Put(slope.Total, DWeight.First, column, n, Accumulate);
            RowMath.Put(offset.Total, DBias.First, column, n, Accumulate);
        }
    }
}
