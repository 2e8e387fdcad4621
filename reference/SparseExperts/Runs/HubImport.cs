using System.Text.Json;
using SparseExperts.Data;
using SparseExperts.Formats;
using SparseExperts.Hub;
using SparseExperts.Models;
using SparseExperts.Text;

namespace SparseExperts.Runs;

/// <summary>What an import read.</summary>
/// <param name="Note">What of the folder cannot be used; null where all can.</param>
public sealed record Imported(HubConfig Config, int Tensors, long Bytes, int Unread, string? Note);

/// <summary>From a checkpoint of the hub to a run: matrix by matrix, in the formats that its numbers are stored in.</summary>
public static class HubImport
{
    static readonly string[] TokenizerFiles = ["tokenizer.json", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model"];

    /// <exception cref="InvalidFileException">The folder is no checkpoint that is read; nothing was written.</exception>
    /// <exception cref="RunException">There is something at <paramref name="run"/>.</exception>
    public static Imported Run(string folder, string run)
    {
        TrainingRun.RefuseToClobber(run, force: null);
        using var checkpoint = HubFolder.Load(folder);
        var tokenizer = TokenizerOf(checkpoint, out var note);
        var model = ModelOf(checkpoint);
        model.Validate();
        NewFolder.Write(run, place =>
        {
            HubSource.Save(checkpoint, place);
            Checkpoint.Save(TrainingRun.CheckpointFolder(place), checkpoint.Tensors.Matrices.Values.Select(m => HubRepack.ToOwn(checkpoint, m)));
            var kept = tokenizer is null ? null : RunTokenizer.In(place, Path.GetRelativePath(place, Path.Combine(HubSource.FolderOf(place), tokenizer))).Kept;
            AtomicFile.WriteText(TrainingRun.ConfigPath(place), (ConfigOf(folder, model) with { Tokenizer = kept }).ToJson() + "\n");
        });
        var bytes = checkpoint.Files.Sum(f => f.File.Tensors.Sum(t => t.End - t.Begin));
        return new(checkpoint.Config, checkpoint.Tensors.All.Count, bytes, checkpoint.Unread.Count, note);
    }

    static IModelConfig ModelOf(HubFolder checkpoint) => ModelFamily.All.Select(family => family.OfCheckpoint(checkpoint)).FirstOrDefault(m => m is not null)
        ?? throw new InvalidFileException($"{checkpoint.Path}: {checkpoint.Config.ModelType} is no model of this program");

    static RunConfig ConfigOf(string folder, IModelConfig model) => new()
    {
        Numerics = NumericsVersion.Current,
        Preset = $"import of {Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)))}",
        Family = model.Family,
        Model = model,
        Training = new() { Batch = 1, Steps = 1 },
        Data = RunData.UsualKind(model),
        Text = "",
        TextBytes = 0,
        TextHash = "",
        Backend = "cpu",
        Threads = 0,
        CheckpointEvery = 500,
    };

    /// <summary>
    /// The name of the checkpoint's tokenizer; null where it has none that is read. One with more tokens than the embedding has rows is of another model, a
    /// broken one is refused; one of a kind that this program does not know is said and kept.
    /// </summary>
    static string? TokenizerOf(HubFolder checkpoint, out string? note)
    {
        note = null;
        if (TokenizerFiles.FirstOrDefault(name => File.Exists(Path.Combine(checkpoint.Path, name))) is not { } file) return null;
        if (Path.GetExtension(file) == ".json") CheckWhole(Path.Combine(checkpoint.Path, file));
        ITokenizer tokenizer;
        try
        {
            tokenizer = Tokenizers.Load(Path.Combine(checkpoint.Path, file));
        }
        catch (DataException e) when (!e.IsUnsupported)
        {
            throw new InvalidFileException($"{e.Message}; take another copy, or take it out of the folder");
        }
        catch (DataException e)
        {
            note = $"{e.Message}; the run has its weights alone";
            return null;
        }
        return tokenizer.Vocabulary <= checkpoint.Config.Vocabulary ? file
            : throw new InvalidFileException($"{checkpoint.Path}: its tokenizer has ids up to {tokenizer.Vocabulary - 1}, "
                + $"the embedding has {checkpoint.Config.Vocabulary} rows; take the files of one checkpoint");
    }

    /// <summary>A file that was half written is none of a kind that this program does not read.</summary>
    static void CheckWhole(string file)
    {
        try
        {
            using var _ = JsonDocument.Parse(RegularFiles.ReadAllText(file));
        }
        catch (JsonException e)
        {
            throw new InvalidFileException($"{file}: not JSON ({JsonTrouble.Why(e)}); take another copy");
        }
    }
}
