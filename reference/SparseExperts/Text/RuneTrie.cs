using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>Strings with values, found by what a text begins with. The longest one bounds the work at a place.</summary>
sealed class RuneTrie
{
    /// <summary>Code points of a string: longer ones would make encoding slow for whoever writes such a file.</summary>
    public const int Longest = 1024;

    readonly Dictionary<long, int> _next = [];
    readonly List<int> _values = [-1];

    public bool IsEmpty => _values.Count == 1;

    /// <exception cref="DataException">The string is longer than any vocabulary's.</exception>
    public void Add(ReadOnlySpan<int> key, int value)
    {
        if (key.Length > Longest) throw new DataException($"a token of {key.Length} characters, at most {Longest}");
        var node = 0;
        foreach (var rune in key)
        {
            if (!_next.TryGetValue(Edge(node, rune), out var next))
            {
                next = _values.Count;
                _next.Add(Edge(node, rune), next);
                _values.Add(-1);
            }
            node = next;
        }
        _values[node] = value;
    }

    static long Edge(int node, int rune) => (long)node << 21 | (uint)rune;

    /// <summary>The node behind one more code point, or -1.</summary>
    public int Step(int node, int rune) => _next.TryGetValue(Edge(node, rune), out var next) ? next : -1;

    /// <summary>What ends at a node; -1 where nothing does.</summary>
    public int Value(int node) => _values[node];

    /// <summary>The longest string that stands at the start; -1 and 0 where none does.</summary>
    public (int Value, int Length) LongestAt(ReadOnlySpan<int> text)
    {
        var (node, value, length) = (0, -1, 0);
        for (var i = 0; i < text.Length && (node = Step(node, text[i])) >= 0; i++)
            if (_values[node] >= 0) (value, length) = (_values[node], i + 1);
        return (value, length);
    }
}
