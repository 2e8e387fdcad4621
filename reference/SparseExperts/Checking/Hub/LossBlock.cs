using SparseExperts.Autograd;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Hub;

/// <summary><c>loss</c>: the recorded logits, labels and balance loss → <c>loss</c>, where a recording has it.</summary>
sealed class LossBlock(HubModel model) : DecoderBlock(model)
{
    /// <summary>A label that says nothing.</summary>
    const int None = -100;

    public override string Name => "loss";

    public override void Run(BlockRun run)
    {
        if (!run.Recording.Has("loss") || !run.Recording.Has("labels")) return;
        var inputs = Batch(run.Recording);
        var loss = NextToken(run.Tape, run.Input(inputs.Ids.Length, Model.Form.Vocabulary, inputs.Length, "logits"), inputs, run.Recording);
        if (run.Recording.Has("aux_loss")) loss = With(run.Tape, Model, run.Recording, loss, run.Input(1, 1, 0, "aux_loss"));
        run.Output(loss, null, Name);
    }

    /// <summary>Mean cross-entropy of the next token over the labels that say something; the model shifts them itself.</summary>
    public static Tensor NextToken(Tape tape, Tensor logits, HubInputs batch, Recording recording)
    {
        var labels = recording.Sized(recording.Get("labels"), batch.Ids.Length).Integers;
        var (length, shifted) = (batch.Length, new int[labels.Length]);
        for (var i = 0; i < shifted.Length; i++) shifted[i] = i % length == length - 1 ? None : labels[i + 1];
        var losses = tape.CrossEntropy(logits, tape.Upload(shifted));
        return tape.SumColumns(losses, 1.0 / Math.Max(1, shifted.Count(l => l != None)));
    }

    /// <summary>The loss with the balance loss times its coefficient, which a recording may say.</summary>
    public static Tensor With(Tape tape, HubModel model, Recording recording, Tensor loss, Tensor balance)
    {
        var coefficient = recording.Find("aux_coefficient")?.Values[0] ?? model.Form.Dialect.BalanceCoefficient;
        return tape.Add(loss, tape.Scale(balance, coefficient));
    }
}
