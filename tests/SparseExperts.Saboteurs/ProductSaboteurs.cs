namespace SparseExperts.Saboteurs;

/// <summary>Products whose chain is not the canonical one: ascending k, one fused multiply-add each.</summary>
public abstract class ChainSaboteur(IBackend inner) : Saboteur(inner)
{
    protected abstract double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows);

    protected static double Fma((double A, double B) pair, double sum) => MathF.FusedMultiplyAdd((float)pair.A, (float)pair.B, (float)sum);

    public override void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Check.Gemm(Inner, "Gemm", a, transposeA, b, transposeB, c);
        Table x = Look(a), y = Look(b), z = Look(c);
        var depth = transposeA ? x.Rows : x.Columns;
        var pairs = new (double, double)[depth];
        for (var i = 0; i < z.Rows; i++)
            for (var j = 0; j < z.Columns; j++)
            {
                for (var k = 0; k < depth; k++) pairs[k] = (transposeA ? x[k, i] : x[i, k], transposeB ? y[j, k] : y[k, j]);
                z[i, j] = Chain(accumulate ? z[i, j] : 0, pairs, z.Rows);
            }
        Put(c, z);
    }
}

public sealed class DescendingChain(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        for (var k = pairs.Length - 1; k >= 0; k--) start = Fma(pairs[k], start);
        return start;
    }
}

/// <summary>Sums of four k each, then added: what a blocked product does that forgets to carry its accumulator on.</summary>
public sealed class PartialSumsOfBlocks(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        for (var block = 0; block < pairs.Length; block += 4)
        {
            var sum = 0.0;
            for (var k = block; k < Math.Min(block + 4, pairs.Length); k++) sum = Fma(pairs[k], sum);
            start = (float)(start + sum);
        }
        return start;
    }
}

public sealed class MultiplyThenAdd(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        foreach (var (a, b) in pairs) start = (float)(start + (float)(a * b));
        return start;
    }
}

/// <summary>Takes another order for tall products, as libraries do that choose kernels by shape.</summary>
public sealed class OrderByBatchSize(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        for (var k = 0; k < pairs.Length; k++) start = Fma(pairs[rows > 1 ? pairs.Length - 1 - k : k], start);
        return start;
    }
}

/// <summary>Splits the chain among threads and adds the parts.</summary>
public sealed class SumSplitAmongThreads(IBackend inner, int threads) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        for (var part = 0; part < threads; part++)
        {
            var sum = 0.0;
            for (var k = pairs.Length * part / threads; k < pairs.Length * (part + 1) / threads; k++) sum = Fma(pairs[k], sum);
            start = (float)(start + sum);
        }
        return start;
    }
}

/// <summary>The last of many terms is left out, as by a loop that ends too early.</summary>
public sealed class LastTermForgotten(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        foreach (var pair in pairs.Length > 16 ? pairs[..^1] : pairs) start = Fma(pair, start);
        return start;
    }
}

/// <summary>The right sum, and then the float beside it.</summary>
public sealed class OneUnitOff(IBackend inner) : ChainSaboteur(inner)
{
    protected override double Chain(double start, ReadOnlySpan<(double A, double B)> pairs, int rows)
    {
        foreach (var pair in pairs) start = Fma(pair, start);
        return MathF.BitIncrement((float)start);
    }
}

/// <summary>β = 0 still multiplies C, so a NaN that was there stays.</summary>
public sealed class OverwritingReadsTheDestination(IBackend inner) : Saboteur(inner)
{
    public override void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        if (!accumulate) Inner.Scale(c, 0, c, false);
        base.Gemm(a, transposeA, b, transposeB, c, accumulate: true);
    }
}

public sealed class AccumulatingOverwrites(IBackend inner) : Saboteur(inner)
{
    public override void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate) =>
        base.Gemm(a, transposeA, b, transposeB, c, accumulate: false);
}
