using System.Text;
using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Lets the model of a run continue a text, in the bytes or tokens that it was trained on.</summary>
public static class RunWriter
{
    /// <summary>What it writes behind a text; the text itself left out.</summary>
    /// <param name="prompt">Text in UTF-8, or any bytes for a model of bytes.</param>
    /// <param name="count">Tokens at most, a byte each without a tokenizer.</param>
    /// <param name="stops">Strings at which it stops; they are not part of the result.</param>
    public static byte[] Continue(TrainedRun run, ReadOnlySpan<byte> prompt, int count, SamplingRule rule, ulong seed, params IReadOnlyList<string> stops)
    {
        rule.Validate();
        if (stops.Any(s => s.Length == 0)) throw new DataException("an empty text to stop at is written everywhere; name one with letters");
        var tokenizer = run.Data.Tokenizer?.Tokenizer;
        var stop = new StopTexts(tokenizer, stops);
        var start = tokenizer is null ? Array.ConvertAll(prompt.ToArray(), b => (int)b) : Tokens(tokenizer, Encoding.UTF8.GetString(prompt), run.Config.Model);
        RequireKnown(start, run.Config.Model);
        if (start.Length == 0) start = [tokenizer?.End ?? '\n'];
        var written = Generation.Continue(run.Predictor, start, count, rule, seed, stop.IsEnough);
        return stop.Cut(tokenizer is null ? Array.ConvertAll(written, id => (byte)id) : Encoding.UTF8.GetBytes(Behind(tokenizer, start, written)));
    }

    /// <summary>Refuses a prompt with ids that the model does not have.</summary>
    /// <exception cref="DataException">It has one; one line.</exception>
    public static void RequireKnown(IReadOnlyList<int> prompt, IModelConfig model)
    {
        if (prompt.FirstOrDefault(id => id >= model.Vocabulary, -1) is not -1 and var beyond)
            throw new DataException($"the prompt has id {beyond}, the model ids below {model.Vocabulary}; name a run with this tokenizer");
    }

    static int[] Tokens(ITokenizer tokenizer, string prompt, IModelConfig model) => tokenizer.Encode(prompt, addSpecial: model.ReadsStartOfText).Ids;

    /// <summary>The text of all tokens without that of the first ones: a word's first token alone would lose its space.</summary>
    static string Behind(ITokenizer tokenizer, int[] start, int[] written)
    {
        var (all, before) = (tokenizer.Decode([.. start, .. written], skipSpecial: true), tokenizer.Decode(start, skipSpecial: true));
        return all.StartsWith(before, StringComparison.Ordinal) ? all[before.Length..] : tokenizer.Decode(written, skipSpecial: true);
    }
}
