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
    public static Tensor? Join(Tape tape, IModelConfig config, bool training, params IReadOnlyList<IReadOnlyList<SparseResult>> stacks) =>
        Join(tape, config.Dialect, config.Experts, training, null, stacks);

    /// <param name="tokenMask">1 for a token, 0 for padding, where it is not that of the layers' calls; empty for no padding.</param>
    public static Tensor? Join(Tape tape, Dialect dialect, int experts, bool training, float[]? tokenMask,
        params IReadOnlyList<IReadOnlyList<SparseResult>> stacks)
    {
        Tensor? sum = null;
        foreach (var loss in stacks.SelectMany(layers => OfStack(tape, dialect, experts, training, tokenMask, layers)))
            sum = sum is null ? loss : tape.Add(sum, loss);
        return sum is not null && dialect.LayerReduction == LayerReduction.Mean ? tape.Scale(sum, 1.0 / stacks.Sum(layers => layers.Count)) : sum;
    }

    static IEnumerable<Tensor> OfStack(Tape tape, Dialect dialect, int experts, bool training, float[]? tokenMask, IReadOnlyList<SparseResult> layers)
    {
        var isPooled = dialect.LayerReduction == LayerReduction.Pooled && (layers.Count > 1 || tokenMask is { Length: > 0 })
            && layers.All(l => l.Inputs is not null);
        if (!isPooled) return layers.Select(l => l.Loss).OfType<Tensor>();
        var (call, terms) = Pooled(tape, dialect, experts, training, tokenMask, layers);
        return new[] { AuxiliaryLosses.Total(tape, call, terms) }.OfType<Tensor>();
    }

    /// <summary>Losses of one call with the tokens of all layers: [L·T, E] logits, scores, choices (transformers load_balancing_loss_func).</summary>
    public static (RouterCall Call, IReadOnlyList<LossTerm> Terms) Pooled(Tape tape, Dialect dialect, int experts, bool training, float[]? tokenMask,
        IReadOnlyList<SparseResult> layers)
    {
        var inputs = layers.Select(l => l.Inputs!).ToArray();
        var (of, logits) = (inputs[0].Handle, inputs[0].Logits);
        Tensor Stack(Func<LossInputs, Tensor> part) => tape.StackRows([.. inputs.Select(part)]);
        Numbers Join(Func<LossInputs, Numbers> part) => new(() => ([.. inputs.SelectMany(i => part(i).Values)], [.. inputs.SelectMany(i => part(i).Errors)]));
        var k = of.Choices;
        RoutingPlan Plan()
        {
            int[] wanted = [.. inputs.SelectMany(i => i.Plan.Expert)];
            int[] slots = [.. inputs.SelectMany(i => i.Plan.RowOf.Select(r => r < 0 ? RoutingPlan.Dropped : r))];      // they only say who was kept here
            return new(experts, 1, k, RoutingPlan.Unlimited, wanted, Arrival(wanted, slots, experts));
        }
        var call = new RouterCall
        {
            Dialect = dialect,
            Groups = of.Groups,
            Size = of.Tokens / of.Groups * inputs.Length,
            Layers = inputs.Length,
            TokenMask = [.. inputs.SelectMany(i => tokenMask ?? i.TokenMask)],
            Sequences = logits.Sequence > 0 ? logits.Rows / logits.Sequence : of.Groups,
            Experts = experts,
            Training = training,
            ScoreFormat = inputs[0].ScoreFormat,
            LogitsFormat = inputs[0].LogitsFormat,
            SpansShards = tape.Shards is not null && dialect.GroupSize == 0,
        };
        var pooled = new LossInputs
        {
            Logits = Stack(i => i.Logits),
            Noisy = Stack(i => i.Noisy),
            Scores = Stack(i => i.Scores),
            Numbers = new() { Logits = Join(i => i.Numbers.Logits), Noisy = Join(i => i.Numbers.Noisy), Scores = Join(i => i.Numbers.Scores) },
            Handle = PlanHandle.WhenAsked(experts, 1, k, of.Tokens * inputs.Length, Plan),
            Gates = Stack(i => i.Gates),
        };
        return (call, AuxiliaryLosses.Of(tape, call, pooled));
    }

    static int[] Arrival(int[] expert, int[] kept, int experts)
    {
        var asked = new int[experts];
        return [.. expert.Select((e, i) => kept[i] < 0 ? RoutingPlan.Dropped : asked[e]++)];
    }
}
