using System.Text;
using SparseExperts.Data;
using SparseExperts.Text;
using Xunit;

namespace SparseExperts.Tests.Text;

public sealed class SentinelTests
{
    static readonly TextToTextIds Ids = TextToTextIds.Bytes;

    static int Sentinel(int k) => Ids.Vocabulary - 1 - k;

    static IEnumerable<int> Bytes(string text) => Encoding.UTF8.GetBytes(text).Select(b => (int)b);

    static string Text(IReadOnlyList<int> ids) => Encoding.UTF8.GetString([.. ids.Select(id => (byte)id)]);

    [Fact]
    public void A_prompt_becomes_its_bytes_sentinels_and_the_end() =>
        Assert.Equal([.. Bytes("ab "), Sentinel(0), .. Bytes(" c"), Sentinel(3), Ids.End], Sentinels.Encode("ab <extra_id_0> c<extra_id_3>", Ids, Bytes));

    [Fact]
    public void What_is_written_behind_a_sentinel_takes_its_place()
    {
        const string prompt = "the <extra_id_0> of <extra_id_1>, <extra_id_2>";
        int[] written = [Sentinel(1), .. Bytes("times"), Sentinel(0), .. Bytes("best"), Sentinel(1), .. Bytes("again"), Ids.End, .. Bytes("x")];
        Assert.Equal("the best of times, <extra_id_2>", Sentinels.Fill(prompt, written, Ids, Text));
        Assert.Equal(["<extra_id_2>"], Sentinels.Unfilled(prompt, written, Ids));
    }

    [Fact]
    public void A_sentinel_that_there_is_not_is_refused() =>
        Assert.Contains("there are 100 sentinels", Assert.Throws<DataException>(() => Sentinels.Encode("<extra_id_100>", Ids, Bytes)).Message);

    [Fact]
    public void Ids_that_are_no_text_have_names()
    {
        int[] ids = [Ids.Padding, Ids.End, Sentinel(0), Sentinel(99)];
        Assert.Equal(["<pad>", "</s>", "<extra_id_0>", "<extra_id_99>"], ids.Select(id => Sentinels.Show(id, Ids)));
    }
}
