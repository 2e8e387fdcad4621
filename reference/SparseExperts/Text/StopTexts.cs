using System.Text;

namespace SparseExperts.Text;

/// <summary>Ends writing at the end of a text, or where one of some strings was written; what is written from that string on is left out.</summary>
/// <param name="tokenizer">Null for bytes as they are.</param>
public sealed class StopTexts(ITokenizer? tokenizer, IReadOnlyList<string> stops)
{
    /// <summary>No token further back is part of the longest string: each of its bytes has one at most, and a few tokens may be no text.</summary>
    readonly int _tail = stops.Select(s => Encoding.UTF8.GetByteCount(s) + 8).DefaultIfEmpty(0).Max();

    readonly ITokenizer _text = tokenizer ?? new ByteTokenizer();

    /// <summary>Whether what is written so far is enough.</summary>
    public bool IsEnough(IReadOnlyList<int> written)
    {
        if (written.Count == 0) return false;
        if (written[^1] == _text.End) return true;
        if (stops.Count == 0) return false;
        var tail = _text.Decode(written.Skip(Math.Max(0, written.Count - _tail)));
        return stops.Any(s => tail.Contains(s, StringComparison.Ordinal));
    }

    /// <summary>A written text, in UTF-8, up to the first of the strings.</summary>
    public byte[] Cut(byte[] text)
    {
        var ends = stops.Select(s => text.AsSpan().IndexOf(Encoding.UTF8.GetBytes(s))).Where(at => at >= 0).ToArray();
        return ends.Length == 0 ? text : text[..ends.Min()];
    }
}
