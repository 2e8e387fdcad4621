using SparseExperts.Models;
using SparseExperts.Runs;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Cli;

/// <summary>What an encoder and decoder write about a prompt: its sentinels are filled; a prompt without any is answered.</summary>
static class TextToTextPrompt
{
    /// <param name="most">Tokens to write at most; null is what the model was trained to write, twice over.</param>
    /// <param name="beams">A beam search in place of drawing; null for none.</param>
    /// <param name="unfilled">Sentinels of the prompt that nothing was written for.</param>
    public static string Write(
        TrainedRun run, ITextToTextConfig model, string prompt, int? most, SamplingRule rule, BeamRule? beams, ulong seed, out IReadOnlyList<string> unfilled)
    {
        var tokenizer = run.Data.Tokenizer?.Tokenizer ?? new ByteTokenizer();
        var ids = TextToTextIds.Of(tokenizer);
        var read = Sentinels.Encode(prompt, ids, part => tokenizer.Encode(part).Ids);
        RunWriter.RequireKnown(read, model);
        var count = most ?? 2 * model.TargetContext;
        var batch = new TokenBatch(read, 1);
        var written = beams is null
            ? TextToText.Write(run.Predictor, batch, count, rule, seed)[0]
            : TextToText.Search(run.Predictor, batch, count, beams)[0].Tokens;
        unfilled = Sentinels.Unfilled(prompt, written, ids);
        string Decoded(IReadOnlyList<int> of) => tokenizer.Decode(of.Where(id => id < tokenizer.Vocabulary), skipSpecial: true);
        return Sentinels.Split(prompt).Sentinels.Count > 0
            ? Sentinels.Fill(prompt, written, ids, Decoded)
            : Decoded([.. written.TakeWhile(id => id != ids.End)]);
    }
}
