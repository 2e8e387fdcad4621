using SparseExperts.Autograd;
using SparseExperts.Layers;
using SparseExperts.Losses;
using SparseExperts.Ops;
using SparseExperts.Routing;

namespace SparseExperts.Models;

/// <summary>
/// From the auxiliary losses of the layers to one. The same coefficient is up to a dozen times stronger where layers are added up than where
/// they are averaged, and where they are pooled opposite layers cancel.
/// </summary>
static class LayerLosses
{
    /// <param name="stacks">The sparse layers of every stack: those of one are pooled, means and sums are over all.</param>
    public static Tensor? Join(Tape tape, IModelConfig config, bool training, params IReadOnlyList<IReadOnlyList<SparseResult>> stacks)
    {
        Tensor? sum = null;
        foreach (var loss in stacks.SelectMany(layers => OfStack(tape, config, training, layers))) sum = sum is null ? loss : tape.Add(sum, loss);
        return sum is not null && config.Dialect.LayerReduction == LayerReduction.Mean ? tape.Scale(sum, 1.0 / stacks.Sum(layers => layers.Count)) : sum;
    }

    static IEnumerable<Tensor> OfStack(Tape tape, IModelConfig config, bool training, IReadOnlyList<SparseResult> layers)
    {
        var isPooled = config.Dialect.LayerReduction == LayerReduction.Pooled && layers.Count > 1 && layers.All(l => l.Inputs is not null);
        return isPooled ? new[] { Pooled(tape, config, training, layers) }.OfType<Tensor>() : layers.Select(l => l.Loss).OfType<Tensor>();
    }

    /// <summary>One call with the tokens of all layers: [L·T, E] logits, scores, choices (transformers load_balancing_loss_func).</summary>
    static Tensor? Pooled(Tape tape, IModelConfig config, bool training, IReadOnlyList<SparseResult> layers)
    {
        var inputs = layers.Select(l => l.Inputs!).ToArray();
        var (of, logits) = (inputs[0].Handle, inputs[0].Logits);
        Tensor Stack(Func<LossInputs, Tensor> part) => tape.StackRows([.. inputs.Select(part)]);
        Numbers Join(Func<LossInputs, Numbers> part) => new(() => ([.. inputs.SelectMany(i => part(i).Values)], [.. inputs.SelectMany(i => part(i).Errors)]));
        var k = of.Choices;
        RoutingPlan Plan()
        {
            int[] experts = [.. inputs.SelectMany(i => i.Plan.Expert)];
            int[] slots = [.. inputs.SelectMany(i => i.Plan.RowOf.Select(r => r < 0 ? RoutingPlan.Dropped : r))];      // they only say who was kept here
            return new(config.Experts, 1, k, RoutingPlan.Unlimited, experts, Arrival(experts, slots, config.Experts));
        }
        var call = new RouterCall
        {
            Dialect = config.Dialect,
            Groups = of.Groups,
            Size = of.Tokens / of.Groups * inputs.Length,
            Layers = inputs.Length,
            Importance = [.. inputs.SelectMany(i => i.Importance)],
            Sequences = logits.Sequence > 0 ? logits.Rows / logits.Sequence : of.Groups,
            Experts = config.Experts,
            Training = training,
            SpansShards = tape.Shards is not null && config.Dialect.GroupSize == 0,
        };
        var pooled = new LossInputs
        {
            Logits = Stack(i => i.Logits),
            Noisy = Stack(i => i.Noisy),
            Scores = Stack(i => i.Scores),
            Numbers = new() { Logits = Join(i => i.Numbers.Logits), Noisy = Join(i => i.Numbers.Noisy), Scores = Join(i => i.Numbers.Scores) },
            Handle = PlanHandle.WhenAsked(config.Experts, 1, k, of.Tokens * inputs.Length, Plan),
            Gates = Stack(i => i.Gates),
        };
        return AuxiliaryLosses.Total(tape, call, AuxiliaryLosses.Compute(tape, call, pooled));
    }

    static int[] Arrival(int[] expert, int[] kept, int experts)
    {
        var asked = new int[experts];
        return [.. expert.Select((e, i) => kept[i] < 0 ? RoutingPlan.Dropped : asked[e]++)];
    }
}
