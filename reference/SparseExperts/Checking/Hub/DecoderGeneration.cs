using SparseExperts.Formats;
using SparseExperts.Models.Hub;
using SparseExperts.Oracle;
using SparseExperts.Routing;

namespace SparseExperts.Checking.Hub;

/// <summary>
/// Greedy decoding with a cache against its recording. Positions are counted over the mask, so that one pass over the whole text has the logits of every
/// step: each recorded token must be the best of its step, or lie below it by less than rounding explains.
/// </summary>
static class DecoderGeneration
{
    public static IEnumerable<BlockVerdict> Check(Recording recording, CheckedPair pair)
    {
        var prompt = RecordedBatch.Of(recording);
        var generated = recording.Get("generated");
        int rows = prompt.Rows, start = prompt.Length, length = generated.Values.Length / rows, steps = length - start;
        if (steps < 1) throw new InvalidFileException($"{recording.Path}: generated has {length} columns, input_ids {start}; record prompt and continuation");
        var ids = recording.Sized(generated, (long)rows * length).Integers;
        var text = Whole(prompt, ids, length);
        var logits = Spread.Of(pair, model => [((DecoderModel)model).Logits(text)])[0];
        yield return new("generated", [Tokens(recording, ids, logits, rows, start, length)]);
        if (recording.Find("margin") is { } margin) yield return new("margin", [Margins(recording, margin, ids, logits, rows, start, length)]);
        if (recording.Find("filtered.logits") is { } first) yield return new("filtered.logits", [First(recording, first, logits, rows, start, length)]);
        foreach (var verdict in FilteredCheck.Run(recording)) yield return verdict;
    }

    /// <summary>Prompt and continuation; what was generated is never padding, and positions are counted over the mask.</summary>
    static HubInputs Whole(HubInputs prompt, int[] ids, int length)
    {
        int[] mask = new int[ids.Length], positions = new int[ids.Length];
        for (var row = 0; row < prompt.Rows; row++)
            for (int column = 0, next = 0; column < length; column++)
            {
                var real = column >= prompt.Length || prompt.IsReal(row, column);
                (mask[row * length + column], positions[row * length + column]) = (real ? 1 : 0, real ? next++ : 0);
            }
        return new(ids, prompt.Rows) { Mask = mask, Positions = positions };
    }

    /// <summary>The tokens up to each row's end.</summary>
    static ClaimVerdict Tokens(Recording recording, int[] ids, Numbers logits, int rows, int start, int length)
    {
        var outcome = Outcome.Agrees;
        Difference? first = null;
        var (count, vocabulary) = (0, logits.Values.Length / (rows * length));
        foreach (var (row, column) in Steps(recording, ids, rows, start, length))
        {
            var at = (row * length + column - 1) * vocabulary;
            var (best, token) = (Best(logits, at, vocabulary), ids[row * length + column]);
            if (token == best) continue;
            if (token < 0 || token >= vocabulary)
                throw new InvalidFileException($"{recording.Path}: generated holds {token}, the vocabulary has {vocabulary}; record it of this model");
            double margin = logits.Values[at + best] - logits.Values[at + token], bound = logits.Errors[at + best] + logits.Errors[at + token];
            if (margin <= bound)
            {
                if (outcome == Outcome.Agrees) outcome = Outcome.Undecided;
                continue;
            }
            outcome = Outcome.Differs;
            count++;
            first ??= new(row * length + column, token, best, margin, bound, 0, rows * length);
        }
        var (behind, itsFirst) = EndedTexts.Departs(recording, ids, rows, start, recording.Integers("eos_token_id"));
        if (behind > 0) outcome = Outcome.Differs;
        first ??= itsFirst;
        return new("generated", outcome, first is null ? null : first with { Count = count + behind });
    }

    static ClaimVerdict Margins(Recording recording, CaseTensor margin, int[] ids, Numbers logits, int rows, int start, int length)
    {
        var (steps, vocabulary) = (length - start, logits.Values.Length / (rows * length));
        recording.Sized(margin, (long)rows * steps);
        double[] expected = [.. margin.Values], errors = new double[expected.Length];
        foreach (var (row, column) in Steps(recording, ids, rows, start, length))
        {
            var at = (row * length + column - 1) * vocabulary;
            var best = Best(logits, at, vocabulary);
            var second = Best(logits, at, vocabulary, without: best);
            var i = row * steps + column - start;
            expected[i] = logits.Values[at + best] - logits.Values[at + second];
            errors[i] = logits.Errors.AsSpan(at, vocabulary).ToArray().Max() * 2;
        }
        return ClaimVerdict.Of(margin, expected, errors, i => double.IsFinite(margin.Values[i]));
    }

    static ClaimVerdict First(Recording recording, CaseTensor claim, Numbers logits, int rows, int start, int length)
    {
        var vocabulary = logits.Values.Length / (rows * length);
        double[] Of(double[] all) => [.. Enumerable.Range(0, rows).SelectMany(row => all.Skip((row * length + start - 1) * vocabulary).Take(vocabulary))];
        return ClaimVerdict.Of(recording.Sized(claim, (long)rows * vocabulary), Of(logits.Values), Of(logits.Errors));
    }

    /// <summary>Places of generated tokens, up to each row's first end token, that one included.</summary>
    static IEnumerable<(int Row, int Column)> Steps(Recording recording, int[] ids, int rows, int start, int length)
    {
        var ends = recording.Integers("eos_token_id");
        for (var row = 0; row < rows; row++)
            for (var column = start; column < length; column++)
            {
                yield return (row, column);
                if (ends.Contains(ids[row * length + column])) break;
            }
    }

    static int Best(Numbers logits, int at, int vocabulary, int without = -1)
    {
        var best = without == 0 ? 1 : 0;
        for (var v = 0; v < vocabulary; v++)
            if (v != without && logits.Values[at + v] > logits.Values[at + best]) best = v;
        return best;
    }
}
