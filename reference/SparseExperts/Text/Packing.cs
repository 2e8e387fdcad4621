using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>A row of several texts.</summary>
/// <param name="Ids">Texts behind each other, each with the end token behind it, and padding at the end of the last row.</param>
/// <param name="Texts">For every id which text of the row it belongs to, from 1; 0 for padding.</param>
public readonly record struct PackedRow(int[] Ids, int[] Texts);

/// <summary>
/// Texts in rows of one length (Raffel et al. 2020, section 3.1.1: "packing"): one behind the other, so that no place is left empty but at the very end; a
/// text that does not fit goes on in the next row. No token is lost and none is there twice.
/// </summary>
public static class Packing
{
    public static IEnumerable<PackedRow> Pack(IEnumerable<IReadOnlyList<int>> texts, int length, int end, int padding)
    {
        if (length < 1) throw new DataException($"rows of {length} tokens: at least 1");
        return Rows(texts, length, end, padding);
    }

    static IEnumerable<PackedRow> Rows(IEnumerable<IReadOnlyList<int>> texts, int length, int end, int padding)
    {
        var (ids, numbers) = (new List<int>(length), new List<int>(length));
        foreach (var text in texts)
        {
            var number = ids.Count == 0 ? 1 : numbers[^1] + 1;
            for (var i = 0; i <= text.Count; i++)
            {
                ids.Add(i < text.Count ? text[i] : end);
                numbers.Add(number);
                if (ids.Count < length) continue;
                yield return new([.. ids], [.. numbers]);
                ids.Clear();
                numbers.Clear();
                number = 1;
            }
        }
        if (ids.Count == 0) yield break;
        ids.AddRange(Enumerable.Repeat(padding, length - ids.Count));
        numbers.AddRange(Enumerable.Repeat(0, length - numbers.Count));
        yield return new([.. ids], [.. numbers]);
    }
}
