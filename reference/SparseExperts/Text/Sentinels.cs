using System.Globalization;
using System.Text.RegularExpressions;

namespace SparseExperts.Text;

/// <summary>Sentinels in texts for people, as transformers' T5 tokenizers write them: <c>&lt;extra_id_0&gt;</c>.</summary>
public static partial class Sentinels
{
    [GeneratedRegex(@"<extra_id_(\d{1,6})>")]
    private static partial Regex Written();

    /// <summary>An id that is no piece of text.</summary>
    public static string Show(int id, TextToTextIds ids) =>
        id == ids.Padding ? "<pad>" : id == ids.End ? "</s>" : string.Create(CultureInfo.InvariantCulture, $"<extra_id_{ids.Vocabulary - 1 - id}>");

    /// <summary>The parts of a text between its sentinels, and which stand between them: one sentinel fewer than parts.</summary>
    public static (IReadOnlyList<string> Parts, IReadOnlyList<int> Sentinels) Split(string text)
    {
        List<string> parts = [];
        List<int> sentinels = [];
        var start = 0;
        foreach (Match match in Written().Matches(text))
        {
            parts.Add(text[start..match.Index]);
            sentinels.Add(Number(match));
            start = match.Index + match.Length;
        }
        parts.Add(text[start..]);
        return (parts, sentinels);
    }

    static int Number(Match match) => int.Parse(match.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Ids of a prompt with sentinels, the end behind it.</summary>
    /// <param name="encode">Ids of a part without sentinels.</param>
    /// <exception cref="Data.DataException">It names a sentinel that there is not.</exception>
    public static int[] Encode(string prompt, TextToTextIds ids, Func<string, IEnumerable<int>> encode)
    {
        var (parts, sentinels) = Split(prompt);
        List<int> all = [.. encode(parts[0])];
        for (var i = 0; i < sentinels.Count; i++)
        {
            if (sentinels[i] >= ids.Sentinels)
                throw new Data.DataException($"<extra_id_{sentinels[i]}>: there are {ids.Sentinels} sentinels, from <extra_id_0> on; choose one of them");
            all.Add(ids.Vocabulary - 1 - sentinels[i]);
            all.AddRange(encode(parts[i + 1]));
        }
        return [.. all, ids.End];
    }

    /// <summary>The prompt with what a model wrote behind each sentinel in its place; sentinels that it did not write about stay.</summary>
    /// <param name="written">Ids that the model wrote.</param>
    /// <param name="decode">Text of ids without sentinels.</param>
    public static string Fill(string prompt, IReadOnlyList<int> written, TextToTextIds ids, Func<IReadOnlyList<int>, string> decode)
    {
        var spans = Spans(written, ids);
        return Written().Replace(prompt, match => spans.TryGetValue(Number(match), out var span) ? decode(span) : match.Value);
    }

    /// <summary>The sentinels of a prompt that a model did not write about.</summary>
    public static IReadOnlyList<string> Unfilled(string prompt, IReadOnlyList<int> written, TextToTextIds ids)
    {
        var spans = Spans(written, ids);
        return [.. Written().Matches(prompt).Where(match => !spans.ContainsKey(Number(match))).Select(match => match.Value).Distinct()];
    }

    /// <summary>What stands behind each sentinel.</summary>
    static Dictionary<int, List<int>> Spans(IReadOnlyList<int> written, TextToTextIds ids)
    {
        Dictionary<int, List<int>> spans = [];
        List<int>? open = null;
        foreach (var id in written.TakeWhile(id => id != ids.End))
        {
            var sentinel = ids.Vocabulary - 1 - id;
            if (sentinel >= 0 && sentinel < ids.Sentinels) open = spans.TryAdd(sentinel, []) ? spans[sentinel] : null;
            else if (id != ids.Padding) open?.Add(id);
        }
        return spans;
    }
}
