using System.Buffers.Binary;
using System.Text;
using SparseExperts.Data;

namespace SparseExperts.Text;

/// <summary>
/// SentencePiece's precompiled rules of characters (normalizer.cc): a double array over bytes of UTF-8 that leads to strings ended by a zero. Layout: length
/// of the array in bytes (u32), the array, the strings.
/// </summary>
sealed class CharsMap
{
    /// <summary>Bytes of what a rule makes, its zero included.</summary>
    const int LongestString = 1 << 12;

    readonly uint[] _units;
    readonly byte[] _strings;

    /// <exception cref="DataException">The blob is cut off.</exception>
    public CharsMap(ReadOnlySpan<byte> blob)
    {
        if (blob.Length < 8) throw new DataException("the map of characters is cut off");
        var size = BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size % 4 != 0 || size < 4 || size > blob.Length - 4) throw new DataException($"the map of characters says {size} bytes of {blob.Length - 4}");
        _units = new uint[size / 4];
        for (var i = 0; i < _units.Length; i++) _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + 4 * i)..]);
        _strings = blob[(4 + (int)size)..].ToArray();
    }

    /// <summary>What the longest rule at the start makes of bytes, and how many it reads; null where there is none.</summary>
    public (int Read, int[] Made)? Longest(ReadOnlySpan<byte> text) => Find(text, longest: true);

    /// <summary>What the shortest rule at the start makes of code points; null where there is none.</summary>
    public int[]? Shortest(ReadOnlySpan<int> runes) => Find(Encoding.UTF8.GetBytes(AlignedText.Spell(runes)), longest: false)?.Made;

    /// <summary>Follows the double array (Darts): a unit's offset and the next byte give the next unit, whose label must be that byte.</summary>
    (int Read, int[] Made)? Find(ReadOnlySpan<byte> text, bool longest)
    {
        (int Read, uint Value)? found = null;
        var at = Offset(_units[0]);
        for (var i = 0; i < text.Length; i++)
        {
            at ^= text[i];
            if (at >= _units.Length || Label(_units[at]) != text[i]) break;
            var hasValue = (_units[at] >> 8 & 1) != 0;
            at ^= Offset(_units[at]);
            if (!hasValue || at >= _units.Length) continue;
            found = (i + 1, _units[at] & 0x7FFFFFFF);
            if (!longest) break;
        }
        return found is { } rule ? (rule.Read, Made(rule.Value)) : null;
    }

    static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1u << 9) >> 6);

    static uint Label(uint unit) => unit & (1u << 31 | 0xFF);

    int[] Made(uint at)
    {
        if (at >= _strings.Length) throw new DataException($"the map of characters leads to byte {at} of {_strings.Length}");
        var rest = _strings.AsSpan((int)at);
        var end = rest[..Math.Min(rest.Length, LongestString)].IndexOf((byte)0);
        if (end < 0) throw new DataException($"the map of characters has a string without an end at byte {at}");
        return AlignedText.Points(Encoding.UTF8.GetString(rest[..end]));
    }
}
