using SparseExperts.Autograd;
using SparseExperts.Routing;
using SparseExperts.Sharding;

namespace SparseExperts.Models;

/// <summary>The call of a sparse block of whatever family: what the block says of itself, and what its place in the batch and in the run adds.</summary>
static class BlockCall
{
    /// <param name="x">The tokens [T, M].</param>
    /// <param name="own">What the block says: rule, experts, sequences, formats, name. Its groups and draws are found here.</param>
    public static RouterCall Of(Tape tape, Tensor x, RouterCall own, LayerStreams streams)
    {
        var d = own.Dialect;
        var groups = Grouping.Count(d, x.Rows, own.Sequences, own.Experts);
        var first = tape.FirstToken(x.Sequence);
        var call = Fitting(own with
        {
            Groups = groups,
            Size = x.Rows / groups,
            FirstToken = (int)first,
            SpansShards = d.GroupSize == 0 && SpansShards(tape, d),
        });
        return call with { Draws = RouterDraws.From(call, streams, x.Columns, first) };
    }

    /// <summary>Whether a group that is the whole batch has the tokens of all shards: of micro-batches only where it makes no difference to routes.</summary>
    static bool SpansShards(Tape tape, Dialect d) =>
        tape.Shards is MicroBatches ? BatchWide.RoutesTokensAlone(d.For(training: true)) : tape.Shards is not null;

    /// <summary>Experts that choose cannot take more tokens than a short text has, and cannot share what does not divide.</summary>
    static RouterCall Fitting(RouterCall call)
    {
        if (call.Training || call.Dialect.Selection is not (Selection.ExpertChoice or Selection.OptimalTransport)) return call;
        var capacity = CapacityRule.Capacity(call, default);
        if (capacity <= call.Size) return call;
        var fitting = call.Dialect with { CapacityFormula = CapacityFormula.Given, Capacity = call.Size, MinCapacity = 0, CapacityMultiple = 0 };
        return call with { Dialect = fitting };
    }
}
