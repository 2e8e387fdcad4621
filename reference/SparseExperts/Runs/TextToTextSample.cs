using SparseExperts.Models;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>What an encoder and decoder write about held-out inputs, beside what stands there.</summary>
static class TextToTextSample
{
    const int Inputs = 3;

    public static string Of(TrainedRun run, ITextToTextConfig model)
    {
        var batch = run.Data.HeldOut(Inputs, Inputs).First();
        var (each, labels) = (batch.Ids.Length / batch.Sequences, batch.Labels.Length / batch.Sequences);
        var written = TextToText.Write(run.Predictor, batch with { Labels = [], DecoderIds = [] }, labels, new(Temperature: 0), 0);
        string Shown(IEnumerable<int> ids) => string.Concat(ids.Select(run.Data.Show));
        return string.Join("\n\n", Enumerable.Range(0, batch.Sequences).Select(i =>
        {
            var input = batch.Ids.AsSpan(i * each, each).ToArray().TakeWhile(id => id != model.PaddingId);
            var target = batch.Labels.AsSpan(i * labels, labels).ToArray().Where(id => id != TokenBatch.NoLabel);
            return $"read: {Shown(input)}\nright: {Shown(target)}\nwritten: {Shown(written[i])}";
        }));
    }
}
