using SparseExperts.Formats;
using SparseExperts.Models;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using SparseExperts.Training;

namespace SparseExperts.Checking.Switch;

/// <summary>
/// Decoding of an encoder and decoder against its recording: each greedy token must be the best after the recorded ones before it, or lie below it by less
/// than rounding explains; beams must be those of a search, or such that their scores are within rounding of those. <c>cache</c> says how tokens were
/// routed: 0 with all that were written before, 1 alone.
/// </summary>
static class SwitchGeneration
{
    const string Sequences = ".sequences";

    public static IEnumerable<BlockVerdict> Check(Recording recording, CheckedPair pair)
    {
        var written = Recorded(recording);
        var steps = Spread.Of(pair, model => [Logits((SwitchModel)model, recording, written)])[0];
        yield return new("generated", [Tokens(recording, written, steps)]);
        if (recording.Find("margin") is { } margin) yield return new("margin", [Margins(recording, margin, written, steps)]);
        var beams = recording.Names.Where(n => n.StartsWith("beam.", StringComparison.Ordinal) && n.EndsWith(Sequences, StringComparison.Ordinal));
        foreach (var name in beams.Order(StringComparer.Ordinal)) yield return Beams(recording, name[..^Sequences.Length], pair);
    }

    /// <summary>What was written about every row, the start first.</summary>
    sealed record Written(int[] Ids, int Rows, int Length, int End)
    {
        /// <summary>Places of generated tokens, up to each row's end, that one included.</summary>
        public IEnumerable<(int Row, int Place)> Places()
        {
            for (var row = 0; row < Rows; row++)
                for (var place = 1; place < Length; place++)
                {
                    yield return (row, place);
                    if (Ids[row * Length + place] == End) break;
                }
        }
    }

    static Written Recorded(Recording recording)
    {
        var rows = SwitchBatch.Of(recording).Sequences;
        var generated = recording.Get("generated");
        var length = generated.Values.Length / rows;
        if (length < 2 || generated.Values.Length % rows != 0)
            throw new InvalidFileException($"{recording.Path}: generated is [{string.Join(", ", generated.Shape)}]; record [rows, start and new tokens]");
        return new(generated.Integers, rows, length, recording.Integers("eos_token_id") is [var end, ..] ? end : -1);
    }

    static bool Caches(Recording recording) => recording.Find("cache") is not { } cache || cache.Values[0] != 0;

    /// <summary>Logits of the token after each place but the last [length − 1, rows, V], after the recorded tokens.</summary>
    static double[] Logits(SwitchModel model, Recording recording, Written written)
    {
        using var writer = new T5Writer(model.Tape, model.Model, SwitchBatch.Of(recording), written.Length, Caches(recording));
        WrittenText Text(int row, int length) => new(row, written.Ids[(row * written.Length)..(row * written.Length + length)]);
        return [.. Enumerable.Range(1, written.Length - 1)
            .SelectMany(length => writer.Logits([.. Enumerable.Range(0, written.Rows).Select(row => Text(row, length))]))
            .SelectMany(row => row)];
    }

    static (int At, int Vocabulary) Place(Written written, Numbers logits, int row, int place)
    {
        var vocabulary = logits.Values.Length / ((written.Length - 1) * written.Rows);
        return (((place - 1) * written.Rows + row) * vocabulary, vocabulary);
    }

    static ClaimVerdict Tokens(Recording recording, Written written, Numbers logits)
    {
        Difference? first = null;
        var (wrong, open) = (0, false);
        foreach (var (row, place) in written.Places())
        {
            var (at, vocabulary) = Place(written, logits, row, place);
            int best = Best(logits, at, vocabulary, -1), token = written.Ids[row * written.Length + place];
            if (token < 0 || token >= vocabulary)
                throw new InvalidFileException($"{recording.Path}: generated holds {token}, the vocabulary has {vocabulary}; record it of this model");
            double margin = logits.Values[at + best] - logits.Values[at + token], bound = logits.Errors[at + best] + logits.Errors[at + token];
            if (token == best) continue;
            open |= margin <= bound;
            if (margin <= bound) continue;
            wrong++;
            first ??= new(row * written.Length + place, token, best, margin, bound, 0, written.Ids.Length);
        }
        var (behind, itsFirst) = EndedTexts.Departs(recording, written.Ids, written.Rows, 1, [written.End]);
        first ??= itsFirst;
        wrong += behind;
        return new("generated", wrong > 0 ? Outcome.Differs : open ? Outcome.Undecided : Outcome.Agrees, first is null ? null : first with { Count = wrong });
    }

    static ClaimVerdict Margins(Recording recording, CaseTensor margin, Written written, Numbers logits)
    {
        recording.Sized(margin, (long)written.Rows * (written.Length - 1));
        double[] expected = [.. margin.Values], errors = new double[expected.Length];
        foreach (var (row, place) in written.Places())
        {
            var (at, vocabulary) = Place(written, logits, row, place);
            int best = Best(logits, at, vocabulary, -1), second = Best(logits, at, vocabulary, best), i = row * (written.Length - 1) + place - 1;
            expected[i] = logits.Values[at + best] - logits.Values[at + second];
            errors[i] = 2 * logits.Errors.AsSpan(at, vocabulary).ToArray().Max();
        }
        return ClaimVerdict.Of(margin, expected, errors, i => double.IsFinite(margin.Values[i]));
    }

    static int Best(Numbers logits, int at, int vocabulary, int without)
    {
        var best = without == 0 ? 1 : 0;
        for (var v = 0; v < vocabulary; v++)
            if (v != without && logits.Values[at + v] > logits.Values[at + best]) best = v;
        return best;
    }

    /// <summary>
    /// Scores are those of the recorded texts; the texts are those that a search finds, best first. Texts whose scores lie within rounding may change places,
    /// or be exchanged for each other: that is left open.
    /// </summary>
    static BlockVerdict Beams(Recording recording, string name, CheckedPair pair)
    {
        CaseTensor sequences = recording.Get(name + Sequences), scores = recording.Get(name + ".scores");
        if (sequences.Shape is not [var rows, var beams, var length])
            throw new InvalidFileException($"{recording.Path}: {sequences.Name} is [{string.Join(", ", sequences.Shape)}]; record [rows, beams, length]");
        recording.Sized(scores, rows * beams);
        var rule = Rule(name, (int)beams);
        var texts = sequences.Integers.Chunk((int)length).Select(ids => Ended(recording, ids)).ToArray();
        var numbers = Spread.Of(pair, model => [Scores((SwitchModel)model, recording, rule, texts)])[0];
        var found = Search((SwitchModel)pair.Exact, recording, rule, (int)length);
        bool IsClose(int i) => Enumerable.Range(i / (int)beams * (int)beams, (int)beams).Any(j => j != i
            && Math.Abs(numbers.Values[j] - numbers.Values[i]) <= numbers.Errors[j] + numbers.Errors[i]);
        int[] others = [.. Enumerable.Range(0, texts.Length).Where(i => !texts[i].AsSpan().SequenceEqual(found[i]))];
        int[] wrong = [.. others.Where(i => !IsClose(i))];
        var outcome = wrong.Length > 0 ? Outcome.Differs : others.Length > 0 ? Outcome.Undecided : Outcome.Agrees;
        var verdict = new ClaimVerdict(sequences.Name, outcome, wrong.Length == 0 ? null : new(wrong[0], 0, 0, 1, 0, wrong.Length, texts.Length));
        return new(name, [verdict, ClaimVerdict.Of(scores, numbers.Values, numbers.Errors)]);
    }

    /// <summary>A text up to its end, that one included.</summary>
    static int[] Ended(Recording recording, int[] ids)
    {
        var end = recording.Integers("eos_token_id") is [var id, ..] ? Array.IndexOf(ids, id, 1) : -1;
        return end < 0 ? ids : ids[..(end + 1)];
    }

    /// <summary>Σ log p / n^penalty of texts that stand row by row.</summary>
    static double[] Scores(SwitchModel model, Recording recording, BeamRule rule, int[][] texts)
    {
        var (each, most, sums) = (texts.Length / SwitchBatch.Of(recording).Sequences, texts.Max(t => t.Length), new double[texts.Length]);
        using var writer = new T5Writer(model.Tape, model.Model, SwitchBatch.Of(recording), most, Caches(recording));
        for (var place = 1; place < most; place++)
        {
            // Ended texts go on with their last token, which nobody counts.
            WrittenText Before(int i) => new(i / each, [.. Enumerable.Range(0, place).Select(p => texts[i][Math.Min(p, texts[i].Length - 1)])]);
            var logits = writer.Logits([.. Enumerable.Range(0, texts.Length).Select(Before)]);
            for (var i = 0; i < texts.Length; i++)
                if (place < texts[i].Length) sums[i] += TextToText.LogSoftmax(logits[i])[texts[i][place]];
        }
        return [.. sums.Select((sum, i) => sum / ReproducibleMath.Pow(texts[i].Length - 1, rule.LengthPenalty))];
    }

    /// <summary>The texts of a search about every row.</summary>
    static int[][] Search(SwitchModel model, Recording recording, BeamRule rule, int length)
    {
        var (batch, config) = (SwitchBatch.Of(recording), model.Model.Config);
        var end = recording.Integers("eos_token_id") is [var said, ..] ? said : config.EndId;
        List<int[]> all = [];
        for (var row = 0; row < batch.Sequences; row++)
        {
            using var writer = new T5Writer(model.Tape, model.Model, batch, length, Caches(recording));
            var found = BeamSearch.Run(config.StartId, end, length - 1, rule, TextToText.Next(writer, row));
            all.AddRange(Enumerable.Range(0, rule.Beams).Select(b => b < found.Count ? (int[])[config.StartId, .. found[b].Tokens] : []));
        }
        return [.. all];
    }

    /// <summary><c>beam.lp0.6.early</c>: length penalty 0.6, early stopping.</summary>
    static BeamRule Rule(string name, int beams)
    {
        var (early, text) = (name.EndsWith(".early", StringComparison.Ordinal), name["beam.".Length..].Replace(".early", "", StringComparison.Ordinal));
        return text.StartsWith("lp", StringComparison.Ordinal)
            && double.TryParse(text[2..], System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out var penalty)
            ? new(beams, penalty, early)
            : throw new InvalidFileException($"{name}: says no length penalty; name it as beam.lp0.6");
    }
}
