namespace SparseExperts.Layers;

/// <summary>
/// Start values from a counter-based generator: element i of a matrix is draw i of the matrix' own stream, so adding a layer does not
/// change the others.
/// </summary>
public sealed class Initialiser(ulong seed)
{
    /// <summary>Normal with standard deviation <paramref name="deviation"/>.</summary>
    public float[] Normal(string name, int count, double deviation) => Fill(name, count, (stream, i) => deviation * Philox.Normal(stream, i));

    /// <summary>
    /// Normal truncated at two standard deviations, σ = √(scale/fan_in) (Fedus et al. 2022, section 2.4, with scale 0.1). σ is that of
    /// the normal before truncation, as in Mesh-TensorFlow; draws outside are drawn again.
    /// </summary>
    public float[] TruncatedNormal(string name, int count, double scale, int fanIn)
    {
        var deviation = Math.Sqrt(scale / fanIn);
        return Fill(name, count, (stream, i) =>
        {
            for (ulong attempt = 0; ; attempt++)
                if (Philox.Normal(stream, i + (attempt << 40)) is var x && Math.Abs(x) <= 2) return deviation * x;
        });
    }

    float[] Fill(string name, int count, Func<RandomStream, ulong, double> draw)
    {
        var stream = new Streams(seed).Named(name);
        var values = new float[count];
        for (var i = 0; i < count; i++) values[i] = (float)draw(stream, (ulong)i);
        return values;
    }
}
