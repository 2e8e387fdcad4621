namespace SparseExperts.Tests.Fuzz;

/// <summary>What a seed draws: equal seeds give equal files.</summary>
sealed class Chance(int seed)
{
    readonly Random _random = new(seed);

    public int Below(int limit) => _random.Next(limit);
    public bool OneIn(int n) => _random.Next(n) == 0;
    public T Of<T>(IReadOnlyList<T> values) => values[_random.Next(values.Count)];

    /// <summary>Numbers that programs stumble over: of every magnitude, at the ends of types, and none at all.</summary>
    public double Number() => Of<Func<double>>(
    [
        () => Math.ScaleB(_random.NextDouble() - 0.5, Below(250) - 125), () => Of(Ends), () => Below(5) - 2, () => _random.NextDouble(),
    ])();

    static readonly double[] Ends =
    [
        0, -0.0, 1, -1, 1e30, -1e30, 1e9, float.MaxValue, float.Epsilon, double.MaxValue, 1e300, int.MaxValue, int.MinValue, uint.MaxValue, long.MaxValue,
        ulong.MaxValue, 9007199254740993, double.NaN, double.PositiveInfinity, double.NegativeInfinity,
    ];

    /// <summary>Texts that programs stumble over.</summary>
    public string Text() => Of(Texts);

    static readonly string[] Texts =
    [
        "", " ", "\0", "\u001b[2J", "\u202e", "\uffff", "a\nb", "NaN", "1", "true", "null", "/etc/passwd", "../x.json", "d.json", "{}", "[", new('a', 5000),
    ];
}
