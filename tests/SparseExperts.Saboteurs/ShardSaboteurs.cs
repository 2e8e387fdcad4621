namespace SparseExperts.Saboteurs;

/// <summary>A weight gradient as one product over all tokens, as every framework computes it.</summary>
public sealed class OneChainOverAllSequences(IBackend inner) : Saboteur(inner)
{
    public override void GemmOuter(Matrix a, Matrix b, Matrix c, int sequence, bool accumulate) => base.Gemm(a, true, b, false, c, accumulate);
}

/// <summary>Blocks of the whole column, wherever sequences begin.</summary>
public sealed class BlocksIgnoreSequences(IBackend inner) : Saboteur(inner)
{
    public override void SumColumns(Matrix x, Matrix y, int sequence, bool accumulate) => base.SumColumns(x, y, Math.Max(1, x.Rows), accumulate);
}

/// <summary>Table rows added one by one to what is there.</summary>
public sealed class SumStartsFromWhatIsThere(IBackend inner) : Saboteur(inner)
{
    public override void ScatterAddTokens(Matrix x, Indices rows, Matrix y, int sequence) => base.ScatterAddRows(x, rows, y);
}

/// <summary>A product as one chain, however long.</summary>
public sealed class OneChainAlongK(IBackend inner) : Saboteur(inner)
{
    public override void Gemm(Matrix a, bool transposeA, Matrix b, bool transposeB, Matrix c, bool accumulate)
    {
        Table x = Look(a), y = Look(b), z = Look(c);
        var depth = transposeA ? a.Rows : a.Columns;
        for (var i = 0; i < c.Rows; i++)
            for (var j = 0; j < c.Columns; j++)
            {
                var sum = accumulate ? (float)z[i, j] : 0;
                for (var k = 0; k < depth; k++)
                {
                    var left = (float)(transposeA ? x[k, i] : x[i, k]);
                    var right = (float)(transposeB ? y[j, k] : y[k, j]);
                    sum = MathF.FusedMultiplyAdd(left, right, sum);
                }
                z[i, j] = sum;
            }
        Put(c, z);
    }
}
