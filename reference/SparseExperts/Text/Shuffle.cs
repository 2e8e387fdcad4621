namespace SparseExperts.Text;

/// <summary>Permutations from an addressed stream: the same for the same stream and place, whatever else was drawn.</summary>
public static class Shuffle
{
    /// <summary>
    /// A permutation of 0 … n − 1 (Fisher–Yates): from the last place down, place i changes with place ⌊u·(i + 1)⌋, where u is uniform double
    /// <paramref name="first"/> + i of the stream.
    /// </summary>
    public static int[] Order(RandomStream stream, ulong first, int n)
    {
        var order = new int[n];
        for (var i = 0; i < n; i++) order[i] = i;
        for (var i = n - 1; i > 0; i--)
        {
            var j = (int)(Philox.UniformDouble(stream, first + (ulong)i) * (i + 1));
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }
}
