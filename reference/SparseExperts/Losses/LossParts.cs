using SparseExperts.Autograd;
using SparseExperts.Routing;

namespace SparseExperts.Losses;

/// <summary>
/// The parts of a call that a balance loss is taken over, by its <see cref="BalanceLevel"/>: every part has an f and a P of its own. Layers that are pooled
/// lie one below the other, and a part has its tokens of all of them.
/// </summary>
/// <param name="Count">Parts P of this shard.</param>
/// <param name="Size">Tokens of a part in one layer.</param>
/// <param name="SpansShards">The one part goes on in the other shards of the batch.</param>
/// <param name="AddsUp">The losses of the parts are added up; else their mean is taken.</param>
sealed record LossParts(int Count, int Size, bool SpansShards, bool AddsUp)
{
    public static LossParts Of(Tape tape, RouterCall call, BalanceLevel level)
    {
        var tokens = call.Tokens / call.Layers;
        return level switch
        {
            BalanceLevel.Group => new(call.Groups, tokens / call.Groups, call.SpansShards, AddsUp: false),
            BalanceLevel.Sequence => new(call.Sequences, tokens / call.Sequences, SpansShards: false, AddsUp: false),
            BalanceLevel.SequenceSum => new(call.Sequences, tokens / call.Sequences, SpansShards: false, AddsUp: true),
            BalanceLevel.Batch or BalanceLevel.Global or BalanceLevel.RankShare => new(1, tokens, tape.Shards is not null, AddsUp: false),
            _ => throw new RoutingException($"{call.Where}: unknown balance level {level}"),
        };
    }

    /// <summary>The part that a row belongs to: a token of one of the layers.</summary>
    public int Of(int row) => row % (Count * Size) / Size;

    /// <summary>One sum a part [P] over the rows of a call, over all shards where the part goes on there.</summary>
    public double[] Sums(Tape tape, RouterCall call, Func<int, double> of)
    {
        var sums = new double[Count];
        for (var row = 0; row < call.Tokens; row++) sums[Of(row)] += of(row);
        return SpansShards ? tape.Total(sums) : sums;
    }

    /// <summary>What the sum over parts is divided by.</summary>
    public int Divisor(Tape tape) => SpansShards || AddsUp ? 1 : tape.Total(Count);
}
