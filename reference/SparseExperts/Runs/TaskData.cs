using SparseExperts.Data;
using SparseExperts.Models;
using SparseExperts.Text;
using SparseExperts.Training;

namespace SparseExperts.Runs;

/// <summary>Tasks in text for an encoder and decoder: a JSONL file with <c>input</c> and <c>target</c> a line, of which 5 % are held out.</summary>
sealed class TaskData : RunData
{
    readonly ITextToTextConfig _model;
    readonly ITokenizer _tokenizer;
    readonly TextToTextIds _ids;
    readonly IReadOnlyList<TextTask> _train, _heldOut;

    /// <param name="text">The file as it is.</param>
    public TaskData(ByteText text, ITextToTextConfig model, ITokenizer tokenizer) : base(text)
    {
        (_model, _tokenizer, _ids) = (model, tokenizer, TextToTextIds.Of(tokenizer));
        RequireIds(_ids.Vocabulary, model);
        (_train, _heldOut) = TextTasks.Split(Tasks(text), text.Path);
    }

    static IReadOnlyList<TextTask> Tasks(ByteText text) => TextTasks.Parse(text.Path, (byte[])[.. text.Train, .. text.HeldOut]);

    public override string Unit => "label";
    public override IBatches Batches(TrainingConfig training) => Of(_train, training.Seed, training.Batch);
    public override IEnumerable<TokenBatch> HeldOut(int sequences, int windows) => Of([.. _heldOut.Take(windows)], 0, sequences).All();

    public override IEnumerable<TokenBatch> Of(ByteText other, int sequences, out long leftOut)
    {
        leftOut = 0;
        return Of(Tasks(other), 0, sequences).All();
    }

    public override IModelConfig Fitted(IModelConfig model)
    {
        var (encoder, decoder) = Of(_train, 0, 1).Lengths;
        return _model.For(encoder, decoder, _ids);
    }

    public override string Show(int id) => id >= _ids.Vocabulary - _ids.Sentinels || id == _ids.Padding || id == _ids.End
        ? Sentinels.Show(id, _ids)
        : _tokenizer.Decode([id]);

    public override ExactMatch? Exact(Predictor predictor, IEnumerable<TokenBatch> batches)
    {
        var match = new ExactMatch(0, 0);
        foreach (var batch in batches)
        {
            var (each, most) = (batch.Labels.Length / batch.Sequences, Math.Max(_model.TargetContext, batch.Labels.Length / batch.Sequences));
            var written = TextToText.Write(predictor, batch with { Labels = [], DecoderIds = [] }, most, new(Temperature: 0), 0);
            for (var i = 0; i < written.Length; i++)
                match = match.With(ExactMatch.IsRight(written[i], batch.Labels[(i * each)..((i + 1) * each)], _tokenizer, _ids));
        }
        return match;
    }

    TaskBatches Of(IReadOnlyList<TextTask> tasks, ulong seed, int sequences) =>
        new(tasks, _tokenizer, _ids, _model.Context, _model.TargetContext, seed, sequences);
}
