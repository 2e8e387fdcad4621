using SparseExperts.Oracle;

namespace SparseExperts.Checking;

/// <summary>Behind its end token a row of what was generated holds padding alone.</summary>
static class EndedTexts
{
    /// <summary>How many ids behind the ends are no padding, and where the first stands.</summary>
    /// <param name="ends">Ids that end a text.</param>
    /// <param name="start">Columns before the first that was generated.</param>
    public static (int Count, Difference? First) Departs(Recording recording, int[] ids, int rows, int start, int[] ends)
    {
        var length = ids.Length / rows;
        int[] behind = [.. from row in Enumerable.Range(0, rows)
                           let end = Array.FindIndex(ids, row * length + start, length - start, ends.Contains)
                           where end >= 0
                           from at in Enumerable.Range(end + 1, (row + 1) * length - end - 1)
                           select at];
        if (behind.Length == 0) return (0, null);
        // A file that does not name the padding has one all the same: what stands most often there.
        var padding = recording.Integers("pad_token_id") is [var named, ..] ? named : behind.CountBy(at => ids[at]).MaxBy(c => c.Value).Key;
        int[] wrong = [.. behind.Where(at => ids[at] != padding)];
        return wrong.Length == 0 ? (0, null) : (wrong.Length, new(wrong[0], ids[wrong[0]], padding, Math.Abs(ids[wrong[0]] - padding), 0, 0, ids.Length));
    }
}
