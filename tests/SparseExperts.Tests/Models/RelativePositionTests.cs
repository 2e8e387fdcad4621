using SparseExperts.Models;
using Xunit;

namespace SparseExperts.Tests.Models;

public sealed class RelativePositionTests
{
    public static TheoryData<int, int> Shapes()
    {
        var shapes = new TheoryData<int, int>();
        foreach (var buckets in (int[])[2, 4, 6, 8, 10, 12, 16, 24, 32, 48, 64, 128])
            foreach (var maxDistance in (int[])[9, 20, 32, 64, 100, 128, 150, 256, 300, 512, 1000]) shapes.Add(buckets, maxDistance);
        return shapes;
    }

    /// <summary>The libraries' float32 formula (transformers modeling_t5.py, _relative_position_bucket), for every distance.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Integer_bounds_give_the_buckets_of_the_logarithm(int buckets, int maxDistance)
    {
        foreach (var bidirectional in (bool[])[true, false])
            for (var relative = -maxDistance - 40; relative <= maxDistance + 40; relative++)
            {
                var expected = ByLogarithm(relative, bidirectional, buckets, maxDistance);
                Assert.Equal((relative, expected), (relative, RelativePositions.Bucket(relative, bidirectional, buckets, maxDistance)));
            }
    }

    static int ByLogarithm(int relative, bool bidirectional, int buckets, int maxDistance)
    {
        var first = 0;
        if (bidirectional)
        {
            buckets /= 2;
            if (relative > 0) first = buckets;
        }
        var distance = bidirectional ? Math.Abs(relative) : Math.Max(0, -relative);
        var exact = buckets / 2;
        if (distance < exact) return first + distance;
        // Without a range of exact distances, or beyond them, nothing is left to divide.
        if (exact == 0 || maxDistance <= exact) return first + buckets - 1;
        var share = MathF.Log((float)distance / exact) / (float)Math.Log((double)maxDistance / exact);
        return first + Math.Min(exact + (int)(share * (buckets - exact)), buckets - 1);
    }
}
