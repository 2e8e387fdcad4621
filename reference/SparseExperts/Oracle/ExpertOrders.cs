namespace SparseExperts.Oracle;

/// <summary>Orders of experts that implementations confuse.</summary>
static class ExpertOrders
{
    /// <summary>Name, words, and whose place each expert has.</summary>
    public static IEnumerable<(string Value, string Words, Func<int, int> From)> Of(int experts)
    {
        if (experts < 2) yield break;
        yield return ("shifted by one", "expert ids are one too large", e => (e + experts - 1) % experts);
        yield return ("shifted by minus one", "expert ids are one too small", e => (e + 1) % experts);
        yield return ("reversed", "experts stand in reverse order", e => experts - 1 - e);
        if (experts % 2 == 0) yield return ("neighbours exchanged", "neighbouring experts are exchanged: 0 with 1, 2 with 3", e => e ^ 1);
        foreach (var ranks in (int[])[2, 4, 8, 16])
        {
            if (experts % ranks != 0 || experts == ranks) continue;
            var each = experts / ranks;
            yield return ($"interleaved over {ranks} ranks", $"expert ids are interleaved over {ranks} ranks", e => e % ranks * each + e / ranks);
            yield return ($"dealt out to {ranks} ranks", $"experts were dealt out to {ranks} ranks in turn", e => e % each * ranks + e / each);
            if (ranks == 2)
            {
                yield return ("halves exchanged", "both halves of the experts are exchanged, as those of two ranks", e => (e + each) % experts);
                continue;
            }
            yield return ($"of the next of {ranks} ranks", $"experts of each of {ranks} ranks are those of the next", e => (e + each) % experts);
            yield return ($"of the rank before, of {ranks}", $"experts of each of {ranks} ranks are those of the one before",
                e => (e + experts - each) % experts);
        }
    }
}
