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
        EachRow("rms_norm_backward", [x, scale, dy, dx], x.Rows, x.Columns, Pointer(weight), accumulateX);
        SumTokens("rms_norm_weight", new(x.Rows, sequence), x.Columns,
            Pointer(x), x.Stride, Pointer(scale), scale.Stride, Pointer(dy), dy.Stride, Pointer(dWeight), accumulateWeight);
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
        EachRow("layer_norm_backward", [x, statistics, dy, dx], x.Rows, x.Columns, Pointer(weight), accumulateX);
        SumTokens("layer_norm_parameters", new(x.Rows, sequence), x.Columns,
            Pointer(x), x.Stride, Pointer(statistics), statistics.Stride, Pointer(dy), dy.Stride, Pointer(dWeight), Pointer(dBias), accumulateParameters);
    }
}
