using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// Product keys: E = K·K experts by two lists of K keys, so that the router has 2K rows (Lample et al. 2019, section 3.1; experts of one neuron, He 2024).
/// </summary>
static class ProductKeys
{
    /// <summary>K, keys a half.</summary>
    public static int Count(RouterCall call) => call.Dialect.ProductKeys > 0 ? call.Dialect.ProductKeys : (int)Math.Sqrt(call.Experts);

    /// <summary>The two halves of each token as they are added [T, 2K].</summary>
    public static Tensor Halves(Tape tape, RouterCall call, Tensor input, RouterWeights weights)
    {
        var products = tape.In(RouterLogits.FormatOf(call)).Linear(input, RouterLogits.Needed(call, weights.Keys, "router.keys.weight"));     // [T, 2K]
        return call.Dialect.KeySplit switch
        {
            KeySplit.Token => products,
            KeySplit.Pooled when tape.Shards is not null =>
                throw new RoutingException(
                    $"{call.Where}: keys that are pooled over the whole batch cannot be made shard by shard; set key_split token, or train without shards"),
            KeySplit.Pooled => Quirks.PooledKeys.Read(tape, products),
            var other => throw new RoutingException($"{call.Where}: unknown split of keys {other}"),
        };
    }

    /// <summary>l_{iK+j} = first half's i + second half's j [T, E].</summary>
    public static Tensor Logits(Tape tape, RouterCall call, Tensor halves)
    {
        int keys = Count(call), experts = call.Experts;
        if (halves.Columns != 2 * keys)
            throw new RoutingException(
                $"{call.Where}: router.keys.weight has {halves.Columns} rows, {2 * keys} are needed for {keys} keys a half; "
                + "set product_keys or correct the weight");
        if (keys * keys != experts)
            throw new RoutingException(
                $"{call.Where}: {keys} keys a half give {keys * keys} experts, not {experts}; set product_keys so that its square is the number of experts");
        int[] first = new int[call.Tokens * experts], second = new int[first.Length];
        for (var i = 0; i < first.Length; i++)
        {
            int row = i / experts * 2 * keys, expert = i % experts;
            (first[i], second[i]) = (row + expert / keys, row + keys + expert % keys);
        }
        return tape.Add(tape.GatherElements(halves, first, call.Tokens, experts), tape.GatherElements(halves, second, call.Tokens, experts));
    }
}
