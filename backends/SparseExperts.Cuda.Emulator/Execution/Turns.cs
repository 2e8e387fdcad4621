namespace SparseExperts.Cuda.Emulator.Execution;

/// <summary>In which order things take turns.</summary>
interface ITurns
{
    /// <summary>The numbers below <paramref name="count"/> in some order.</summary>
    IEnumerable<int> Of(int count);

    /// <summary>Lanes go in the order i xor this.</summary>
    int Lanes();

    static ITurns From(ThreadOrder order, int seed) => order switch
    {
        ThreadOrder.Ascending => new Ascending(),
        ThreadOrder.Descending => new Descending(),
        _ => new Drawn(seed),
    };

    sealed class Ascending : ITurns
    {
        public IEnumerable<int> Of(int count) => Enumerable.Range(0, count);
        public int Lanes() => 0;
    }

    sealed class Descending : ITurns
    {
        public IEnumerable<int> Of(int count) => Enumerable.Range(0, count).Reverse();
        public int Lanes() => 31;
    }

    sealed class Drawn(int seed) : ITurns
    {
        readonly Random _random = new(seed);

        public IEnumerable<int> Of(int count)
        {
            var order = Enumerable.Range(0, count).ToArray();
            _random.Shuffle(order);
            return order;
        }

        public int Lanes() => _random.Next(32);
    }
}
