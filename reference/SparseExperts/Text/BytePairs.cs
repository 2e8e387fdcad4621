using System.Collections.Concurrent;

namespace SparseExperts.Text;

/// <summary>A part of a word: its id, and how many symbols of the word it has.</summary>
readonly record struct WordPart(int Id, int Length);

/// <summary>
/// Byte-pair merging (Sennrich et al. 2016): of all pairs of neighbours the one of the lowest rank becomes one symbol, the left one of equals first, until no
/// pair has a rank. A heap keeps it near-linear in the word: n symbols take O(n log n).
/// </summary>
sealed class BytePairs
{
    /// <summary>Words as long as these, and so many of them, are remembered.</summary>
    const int LongestRemembered = 64, MostRemembered = 1 << 17;

    readonly Dictionary<long, (int Rank, int Id)> _merges = [];
    readonly ConcurrentDictionary<string, WordPart[]> _known = [];

    /// <summary>Two symbols become a third; a pair that is given twice keeps its last rank.</summary>
    public void Add(int left, int right, int rank, int result) => _merges[Pair(left, right)] = (rank, result);

    static long Pair(int left, int right) => (long)left << 32 | (uint)right;

    /// <summary>The parts of a word; remembered by <paramref name="spelling"/>, which the symbols depend on alone.</summary>
    public WordPart[] Merge(string spelling, ReadOnlySpan<int> symbols)
    {
        if (_known.TryGetValue(spelling, out var known)) return known;
        var parts = Merge(symbols);
        if (spelling.Length <= LongestRemembered && _known.Count < MostRemembered) _known.TryAdd(spelling, parts);
        return parts;
    }

    WordPart[] Merge(ReadOnlySpan<int> symbols)
    {
        var parts = new WordPart[symbols.Length];
        for (var i = 0; i < parts.Length; i++) parts[i] = new(symbols[i], 1);
        int[] next = new int[parts.Length], previous = new int[parts.Length];
        for (var i = 0; i < parts.Length; i++) (previous[i], next[i]) = (i - 1, i + 1 < parts.Length ? i + 1 : -1);
        var queue = new PriorityQueue<(int Left, int Id), long>();
        void Consider(int left)
        {
            if (left >= 0 && next[left] >= 0 && _merges.TryGetValue(Pair(parts[left].Id, parts[next[left]].Id), out var merge))
                queue.Enqueue((left, merge.Id), (long)merge.Rank << 32 | (uint)left);
        }
        for (var i = 0; i < parts.Length; i++) Consider(i);
        while (queue.TryDequeue(out var entry, out _))
        {
            var (left, id) = entry;
            var right = parts[left].Length == 0 ? -1 : next[left];
            // What stands there now may be another pair than when it was queued.
            if (right < 0 || !_merges.TryGetValue(Pair(parts[left].Id, parts[right].Id), out var merge) || merge.Id != id) continue;
            parts[left] = new(id, parts[left].Length + parts[right].Length);
            parts[right] = default;
            next[left] = next[right];
            if (next[left] >= 0) previous[next[left]] = left;
            Consider(previous[left]);
            Consider(left);
        }
        return [.. parts.Where(p => p.Length > 0)];
    }
}
