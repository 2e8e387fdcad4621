namespace SparseExperts.Layers;

/// <summary>
/// The start value of one element of a matrix: number <paramref name="element"/> of the whole matrix, row by row, drawn from the stream of the matrix'
/// name. So adding a layer does not change the others, and a shard starts with what the whole has in its place.
/// </summary>
public delegate double Start(RandomStream stream, ulong element);

/// <summary>Start values.</summary>
public static class Starts
{
    public static Start Zeros { get; } = Constant(0);
    public static Start Ones { get; } = Constant(1);

    public static Start Constant(double value) => (_, _) => value;

    /// <summary>Normal with standard deviation <paramref name="deviation"/>.</summary>
    public static Start Normal(double deviation) => (stream, i) => deviation * Philox.Normal(stream, i);

    /// <summary>
    /// Normal truncated at two standard deviations, σ = √(scale/fan_in) (Fedus et al. 2022, section 2.4, with scale 0.1). σ is that of
    /// the normal before truncation, as in Mesh-TensorFlow; draws outside are drawn again.
    /// </summary>
    public static Start TruncatedNormal(double scale, int fanIn)
    {
        var deviation = Math.Sqrt(scale / fanIn);
        return (stream, i) =>
        {
            for (ulong attempt = 0; ; attempt++)
                if (Philox.Normal(stream, i + (attempt << 40)) is var x && Math.Abs(x) <= 2) return deviation * x;
        };
    }
}
