using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Models;
using SparseExperts.Ops;

namespace SparseExperts.Checking.Switch;

/// <summary>
/// Losses of routers as transformers' Switch computes them: of each stack z = mean over its layers and tokens of (ln Σ eˡ)², and E·mean over rows of
/// Σ_e f·P, f and P over a row's tokens of all layers together, f the share that kept its expert, where whoever was dropped counts for expert 0 in
/// transformers 4 and for the one that it wanted in 5.
/// </summary>
static class SwitchLosses
{
    public static readonly string[] Names = ["encoder_z_loss", "encoder_aux_loss", "decoder_z_loss", "decoder_aux_loss"];

    public static IReadOnlyList<(string Name, Tensor Value)> Of(Tape tape, T5Model model, Tensor entropy, IReadOnlyList<SparseResult> encoder,
        IReadOnlyList<SparseResult> decoder, bool droppedAreFirst)
    {
        var (config, dialect) = (model.Config, model.Config.Dialect);
        List<(string, Tensor)> all = [];
        var loss = entropy;
        foreach (var (stack, layers, step) in new[] { ("encoder", encoder, config.EncoderSparseStep), ("decoder", decoder, config.DecoderSparseStep) })
        {
            // A stack of which every block is sparse has no losses there.
            if (layers.Count == 0 || step == 1) continue;
            var terms = layers.Select(l => (l.Logits, Counted(l.Plan, droppedAreFirst))).ToArray();
            var (z, balance) = Of(tape, terms, layers[0].Plan.Groups);
            all.AddRange([($"{stack}_z_loss", z), ($"{stack}_aux_loss", balance)]);
            loss = tape.Add(loss, tape.Add(tape.Scale(z, dialect.ZCoefficient), tape.Scale(balance, dialect.BalanceCoefficient)));
        }
        return [.. all, ("loss", loss)];
    }

    static int[] Counted(RoutingPlan plan, bool droppedAreFirst) => [.. plan.Expert.Select((e, i) => droppedAreFirst && plan.RowOf[i] < 0 ? 0 : e)];

    /// <param name="layers">Logits [T, E] and the expert that every token counts for.</param>
    /// <param name="rows">Rows of the batch.</param>
    public static (Tensor Z, Tensor Balance) Of(Tape tape, IReadOnlyList<(Tensor Logits, int[] Experts)> layers, int rows)
    {
        int tokens = layers[0].Logits.Rows, experts = layers[0].Logits.Columns, all = tokens * layers.Count;
        var logits = tape.StackRows([.. layers.Select(l => l.Logits)]);                                                 // [L·T, E]
        var z = tape.LogSumExp(logits);
        var share = new double[rows * experts];
        foreach (var (_, chosen) in layers)
            for (var t = 0; t < tokens; t++) share[t / (tokens / rows) * experts + chosen[t]] += (double)rows / all;
        var weights = new double[all * experts];
        for (var i = 0; i < weights.Length; i++)
            weights[i] = share[i / experts % tokens / (tokens / rows) * experts + i % experts] * experts / rows * rows / all;
        return (tape.SumSquares(z, 1.0 / all), tape.WeightedSum(tape.Softmax(logits), weights));
    }
}
