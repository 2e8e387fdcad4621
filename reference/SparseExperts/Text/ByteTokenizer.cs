using System.Text;

namespace SparseExperts.Text;

/// <summary>The bytes of UTF-8 as ids: what needs no file.</summary>
public sealed class ByteTokenizer : ITokenizer
{
    public string Kind => "bytes";
    public int Vocabulary => 256;
    public int? End => null;

    public Encoded Encode(string text, bool addSpecial = false)
    {
        var ids = new List<int>(text.Length);
        var offsets = new List<(int, int)>(text.Length);
        Span<byte> bytes = stackalloc byte[4];
        var place = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            foreach (var value in bytes[..rune.EncodeToUtf8(bytes)])
            {
                ids.Add(value);
                offsets.Add((place, place + 1));
            }
            place++;
        }
        return new([.. ids], [.. ids.Select(Name)], [.. offsets]);
    }

    public string Decode(IEnumerable<int> ids, bool skipSpecial = false) =>
        Encoding.UTF8.GetString([.. ids.Where(id => id is >= 0 and < 256).Select(id => (byte)id)]);

    public int? Find(string token) => Decoders.ByteOf(token);

    /// <summary>A byte as vocabularies with byte fallback spell it: <c>&lt;0x0A&gt;</c>.</summary>
    internal static string Name(int value) => $"<0x{value:X2}>";
}
