using SparseExperts.Autograd;
using SparseExperts.Models;
using SparseExperts.Models.Hub;
using SparseExperts.Ops;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking.Hub;

/// <summary>What embedding, final norm and head may do instead.</summary>
static class HeadFaults
{
    public static IEnumerable<BlockFault> OfEmbedding(HubModel model)
    {
        BlockFault Fault(string sentence, Func<HubInputs, Tensor> embed) => new(sentence, run =>
        {
            var inputs = RecordedBatch.Of(run.Recording);
            EmbeddingBlock.Output(run, inputs, embed(inputs));
        });
        var (own, form) = (model.Form.EmbeddingMultiplier, model.Form);
        if (own != 1) yield return Fault($"embedding multiplier {Number(own)} forgotten", model.Looked);
        else yield return Fault("embedding multiplied by the root of the width", inputs => model.Tape.Scale(model.Looked(inputs), Math.Sqrt(form.Width)));
        if (model.Head is { Rows: var width } head && head.Columns == form.Vocabulary && width == form.Width)
            yield return Fault("lm_head in place of embed_tokens", inputs => model.Scaled(model.Tape.LookUp(
                model.Tape.Transpose(head), model.Tape.Upload(inputs.Ids), inputs.Length)));
        foreach (var by in (int[])[1, -1])
        {
            int Shifted(int id) => (id + by + form.Vocabulary) % form.Vocabulary;
            yield return Fault($"ids shifted by {by}", inputs => model.Embed(inputs with { Ids = Array.ConvertAll(inputs.Ids, Shifted) }));
        }
    }

    public static IEnumerable<(string Sentence, Func<Tensor, Tensor> With)> OfNorm(HubModel model)
    {
        var own = model.Form.NormEpsilon;
        foreach (var epsilon in Epsilons)
            if (epsilon != own) yield return ($"norm epsilon {Number(epsilon)} in place of {Number(own)}", x => model.Normed(x, model.Norm, epsilon));
        yield return ("final norm skipped", x => x);
        yield return ("mean subtracted in the final norm, which is one of squares", x => model.Normed(model.Tape.In(model.Format).LessMean(x)));
        yield return ("weights of the final norm ignored", x => model.Normed(x, Ones(model.Tape, model.Norm), own));
        yield return ("weights of the final norm taken as 1 + w", x => model.Normed(x, model.Tape.Shift(model.Norm, 1), own));
    }

    public static IEnumerable<(string Sentence, Func<Tensor, Tensor> With)> OfHead(HubModel model)
    {
        var form = model.Form;
        if (form.LogitsDivisor is not 1 and var divisor)
        {
            yield return ($"logits not divided by {Number(divisor)}", x => model.Capped(model.Products(x)));
            yield return ($"logits multiplied by {Number(divisor)} in place of divided", x => model.Capped(model.Tape.Scale(model.Products(x), divisor)));
        }
        if (form.LogitsSoftcap > 0) yield return ("logits not softly capped", x => model.Divided(model.Products(x)));
        var root = Math.Sqrt(form.Width);
        yield return ("logits divided by the root of the width", x => model.Tape.Scale(model.Logits(x), 1 / root));
        yield return ("logits multiplied by the root of the width", x => model.Tape.Scale(model.Logits(x), root));
        if (model.Head is { } head)
        {
            yield return ("head tied to the embedding, which it is not", x => model.Tape.Linear(x, model.Embedding, transpose: true));
            if (head.Rows == head.Columns) yield return ("lm_head transposed", x => model.Tape.Linear(x, head, transpose: true));
        }
    }
}
