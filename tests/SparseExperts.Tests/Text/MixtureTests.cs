using System.Text;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Text;
using SparseExperts.Training;
using Xunit;

namespace SparseExperts.Tests.Text;

public sealed class MixtureTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-languages-").FullName;
    readonly IModelConfig _model = Presets.Find("tiny").Model;

    public void Dispose() => Directory.Delete(_folder, true);

    void Write(string language, char letter, int bytes)
    {
        Directory.CreateDirectory(Path.Combine(_folder, language));
        File.WriteAllText(Path.Combine(_folder, language, "a.txt"), new string(letter, bytes));
    }

    MixtureBatches Batches(ulong seed, int sequences, double temperature = 2)
    {
        var languages = Languages.Load(_folder, _model.Context);
        IBatches[] sources = [.. languages.Select(l => new ByteBatches(l.Text, seed, 1, _model))];
        return new(sources, new([.. languages.Select(l => (long)l.Text.TrainLength)], temperature), seed, sequences, _model.Tasks);
    }

    [Fact]
    public void Every_folder_is_a_language_with_a_held_out_part_of_its_own()
    {
        Write("de", 'd', 4000);
        Write("cy", 'c', 1000);
        var languages = Languages.Load(_folder, _model.Context);
        Assert.Equal(["cy", "de"], languages.Select(l => l.Name));
        Assert.Equal([50, 200], languages.Select(l => l.Text.HeldOut.Length));
    }

    [Fact]
    public void What_would_be_left_out_is_said()
    {
        Assert.Contains("no folders", Assert.Throws<DataException>(() => Languages.Load(_folder, 8)).Message, StringComparison.Ordinal);
        Write("cy", 'c', 1000);
        File.WriteAllText(Path.Combine(_folder, "beside.txt"), "x");
        Assert.Contains("beside.txt", Assert.Throws<DataException>(() => Languages.Load(_folder, 8)).Message, StringComparison.Ordinal);
        var file = Assert.Throws<DataException>(() => Languages.Load(Path.Combine(_folder, "beside.txt"), 8));
        Assert.Contains("needs a folder", file.Message, StringComparison.Ordinal);
    }

    /// <summary>Sizes 16 to 1 at temperature 2 are shares 4 to 1: of 4,000 sequences within five standard deviations.</summary>
    [Fact]
    public void Sequences_come_from_languages_in_their_shares_and_by_their_number_alone()
    {
        Write("big", 'b', 16_000);
        Write("small", 's', 1_000);
        var batches = Batches(3, 8);
        const int sequences = 4000;
        var share = Enumerable.Range(0, sequences).Count(n => batches.SourceOf(n) == 0) / (double)sequences;
        Assert.InRange(share, 0.8 - 5 * Math.Sqrt(0.16 / sequences), 0.8 + 5 * Math.Sqrt(0.16 / sequences));

        TokenBatch whole = batches.Of(1), first = Batches(3, 4).Of(2), second = Batches(3, 4).Of(3);
        Assert.Equal(whole.Ids, TokenBatch.Join([first, second]).Ids);
        Assert.Equal(whole.Tasks, TokenBatch.Join([first, second]).Tasks);
        Assert.Equal(Encoding.ASCII.GetBytes("bs").Select(b => (int)b), [.. whole.Ids.Distinct().Order()]);
        for (var b = 0; b < 8; b++) Assert.Equal(batches.SourceOf(8 + b) == 0 ? 'b' : 's', whole.Ids[b * _model.Context]);
    }
}
