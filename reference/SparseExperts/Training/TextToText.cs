using SparseExperts.Models;

namespace SparseExperts.Training;

/// <summary>Lets an encoder and decoder write about inputs: they are encoded once, then a token of each text a step.</summary>
public static class TextToText
{
    /// <summary>One text an input, the start left out, the end included where it came: drawn by a rule, or the likeliest tokens with temperature 0.</summary>
    /// <param name="most">Tokens of a text at most.</param>
    /// <param name="caches">Whether tokens are routed step by step (<see cref="ITextToTextModel.NewWriter"/>).</param>
    public static int[][] Write(Predictor predictor, TokenBatch inputs, int most, SamplingRule rule, ulong seed, bool caches = true)
    {
        rule.Validate();
        var config = Model(predictor).Config;
        using var writer = Writer(predictor, inputs, most, caches);
        var texts = Enumerable.Range(0, inputs.Sequences).Select(i => new WrittenText(i, [config.StartId])).ToArray();
        var stream = new Streams(seed).At(0, 0, RandomUse.Sampling);
        for (var step = 0; step < most && texts.Any(t => !Ended(t)); step++)
        {
            var logits = writer.Logits(texts);
            for (var i = 0; i < texts.Length; i++)
            {
                var drawn = Ended(texts[i]) ? config.PaddingId : Sampling.Choose(Sampling.Probabilities(Array.ConvertAll(logits[i], l => (float)l), rule),
                    Philox.UniformDouble(stream, (ulong)(step * texts.Length + i)));
                texts[i] = new(i, [.. texts[i].Ids, drawn]);
            }
        }
        return [.. texts.Select(Written)];

        bool Ended(WrittenText text) => text.Ids.Length > 1 && text.Ids.AsSpan(1).Contains(config.EndId);
        int[] Written(WrittenText text) => Ended(text) ? text.Ids[1..(Array.IndexOf(text.Ids, config.EndId, 1) + 1)] : text.Ids[1..];
    }

    /// <summary>The best texts about one input by beam search, the start left out, best first.</summary>
    public static IReadOnlyList<Beam> Search(Predictor predictor, TokenBatch input, int most, BeamRule rule, bool caches = true)
    {
        rule.Validate();
        var config = Model(predictor).Config;
        using var writer = Writer(predictor, input, most, caches);
        return BeamSearch.Run(config.StartId, config.EndId, most, rule, Next(writer, 0));
    }

    /// <summary>Log-probabilities of the token after each of some texts about one input.</summary>
    public static Func<IReadOnlyList<int[]>, IReadOnlyList<double[]>> Next(ITextWriter writer, int input) =>
        texts => [.. writer.Logits([.. texts.Select(ids => new WrittenText(input, ids))]).Select(LogSoftmax)];

    internal static double[] LogSoftmax(double[] logits)
    {
        var largest = logits.Max();
        var sum = ReproducibleMath.Log(logits.Sum(l => ReproducibleMath.Exp(l - largest)));
        return Array.ConvertAll(logits, l => l - largest - sum);
    }

    static ITextWriter Writer(Predictor predictor, TokenBatch inputs, int most, bool caches) => Model(predictor).NewWriter(inputs, most + 1, caches);

    static ITextToTextModel Model(Predictor predictor) => predictor.Model as ITextToTextModel
        ?? throw new ConfigurationException($"{predictor.Model.Config.Family}: models of this family have no encoder to read an input; name a run of another");
}
