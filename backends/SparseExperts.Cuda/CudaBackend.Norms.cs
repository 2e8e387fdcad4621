namespace SparseExperts.Cuda;

public sealed partial class CudaBackend
{
    public void RmsNorm(Matrix x, Matrix weight, double epsilon, Matrix y, Matrix scale)
    {
        Check.Norm(this, "RmsNorm", x, weight, y, scale, 1);
        EachRow("rms_norm", [x, y, scale], x.Rows, x.Columns, Pointer(weight), (float)epsilon);
    }

    public void RmsNormBackward(Matrix x, Matrix weight, Matrix scale, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, bool accumulateWeight)
    {
        Check.Norm(this, "RmsNormBackward", x, weight, dy, scale, 1);
        Check.Norm(this, "RmsNormBackward", x, dWeight, dx, scale, 1);
        Check.Sequence("RmsNormBackward", sequence);
        Gradients("rms_norm_gradients", [x, scale, dy, dx], new(x.Rows, sequence), weight, accumulateX, Pointer(dWeight), accumulateWeight);
    }

    public void LayerNorm(Matrix x, Matrix weight, Matrix bias, double epsilon, Matrix y, Matrix statistics)
    {
        Check.Norm(this, "LayerNorm", x, weight, y, statistics, 2);
        Check.Norm(this, "LayerNorm", x, bias, y, statistics, 2);
        EachRow("layer_norm", [x, y, statistics], x.Rows, x.Columns, Pointer(weight), Pointer(bias), (float)epsilon);
    }

    public void LayerNormBackward(Matrix x, Matrix weight, Matrix statistics, Matrix dy, int sequence, Matrix dx, bool accumulateX,
        Matrix dWeight, Matrix dBias, bool accumulateParameters)
    {
        Check.Norm(this, "LayerNormBackward", x, weight, dy, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dWeight, dx, statistics, 2);
        Check.Norm(this, "LayerNormBackward", x, dBias, dx, statistics, 2);
        Check.Sequence("LayerNormBackward", sequence);
        Gradients("layer_norm_gradients", [x, statistics, dy, dx], new(x.Rows, sequence), weight, accumulateX,
            Pointer(dWeight), Pointer(dBias), accumulateParameters);
    }

    /// <summary>Rows of dX and sums down the columns in one launch, neither of which waits for the other. A warp is two rows: an even number of them.</summary>
    void Gradients(string kernel, ReadOnlySpan<Matrix> views, SumTree tree, Matrix weight, bool accumulate, params ReadOnlySpan<KernelArgument> parameters)
    {
        var (rows, columns, height) = (views[0].Rows, views[0].Columns, Math.Clamp(tree.Leaves + tree.Leaves % 2, RowsOfBlock, MostSumThreads / Lanes));
        var rowBlocks = Blocks(rows, height);
        Launch(kernel, new(rowBlocks + Blocks(columns, Lanes), 1, 1, Lanes, height), Arguments(views, rows, columns,
            [rowBlocks, Pointer(weight), accumulate, Pointer(Starts(tree)), Pointer(Joins(tree)), tree.Leaves, .. parameters]));
    }
}
